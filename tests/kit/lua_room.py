"""A real Roost whose passdb and userdb are a Lua script, and questions to its auth socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.auth_room import Lines, plain
from kit.instance import Instance

CONF = """
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_worker_stuck = 1s
auth_worker_request_timeout = 4s
auth_verbose = yes
auth_username_chars =
passdb passwd-file {{
  username_filter = file*
}}
passdb lua {{
  lua_file = {folder}/script.lua
  lua_trust = {trust}
  lua_instruction_limit = 2000000
  lua_max_memory = 16M
  lua_interleave = {interleave}
  lua_settings {{
    endpoint = http://127.0.0.1:{port}/
  }}
}}
userdb static {{
  result_success = continue-ok
}}
userdb lua {{
  lua_file = {folder}/script.lua
}}
{more}
"""


@contextmanager
def roost(
    folder: Path, script: str, *, port: int = 0, trust: str = "full", interleave: str = "no", more: str = ""
) -> Iterator[Instance]:
    """``port``: in the script's setting ``endpoint``. ``more``: at the end of the configuration."""
    (folder / "script.lua").write_text(script)
    conf = CONF.format(folder=folder, port=port, trust=trust, interleave=interleave, more=more)
    with Instance(folder, conf) as instance:
        yield instance


def client(instance: Instance, cpid: int = 4711) -> Lines:
    """A connection to the auth socket after its handshake."""
    lines = Lines(str(instance.auth_socket))
    lines.send(f"VERSION\t1\t4\nCPID\t{cpid}\n")
    while lines.next() != "DONE":
        pass
    return lines


def auth(number: int, user: str, password: str, **parameters: str) -> str:
    """An AUTH line."""
    more = "".join(f"\t{name}={value}" for name, value in parameters.items())
    return f"AUTH\t{number}\tPLAIN\tservice=imap{more}\tresp={plain(user, password)}\n"


def ask(instance: Instance, user: str, password: str = "pw", *, cpid: int = 4711) -> str:
    """The answer to one login on a connection of its own."""
    lines = client(instance, cpid)
    lines.sock.settimeout(40)
    return lines.ask(auth(1, user, password))
