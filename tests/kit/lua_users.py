"""A script that answers for users out of a JSON file, as the conformance suites of passdbs and userdbs need one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VERIFYING = """
function auth_password_verify(req, password)
  local found = users()[req.user]
  if not found then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  if req:password_verify(found.password, password) ~= 1 then return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH end
  return dovecot.auth.PASSDB_RESULT_OK, found
end
"""
SCRIPT = """
local json = require "json"
local settings

function script_init(args) settings = args end

local function users()
  local file = assert(io.open(settings.users))
  local text = file:read("a")
  file:close()
  return json.decode(text)
end

function auth_passdb_lookup(req)
  local found = users()[req.user]
  if not found then return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN end
  return dovecot.auth.PASSDB_RESULT_OK, found
end

function auth_userdb_lookup(req)
  local found = users()[req.user]
  if not found then return dovecot.auth.USERDB_RESULT_USER_UNKNOWN end
  return dovecot.auth.USERDB_RESULT_OK, found
end

function auth_userdb_iterate()
  local names = {}
  for name in pairs(users()) do names[#names + 1] = name end
  return names
end
"""


def write(folder: Path, users: Mapping[str, Mapping[str, str]], *, verifies: bool = False) -> dict[str, Any]:
    """The script and its users in ``folder``. → the block's settings."""
    (folder / "users.lua").write_text(SCRIPT + (VERIFYING if verifies else ""))
    change(folder, users)
    return {"lua_file": str(folder / "users.lua"), "lua_settings": {"users": str(folder / "users.json")}}


def change(folder: Path, users: Mapping[str, Mapping[str, str]]) -> None:
    """Replace the users."""
    (folder / "users.json").write_text(json.dumps(users))


def broken(folder: Path) -> None:
    """From now on the script cannot say."""
    (folder / "users.json").unlink()
    (folder / "users.json").mkdir()
