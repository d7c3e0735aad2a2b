"""Instances that take tokens: a configuration, keys on disk, an introspection server (RFC 7662) in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs

from kit import jwts

from roost.dict.opening import open_dict
from roost.settings.schema.dict import DictSettings

CONF = """
auth_mechanisms = plain xoauth2 oauthbearer
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_verbose = yes
auth_debug = yes
auth_verbose_passwords = plain
oauth2 {{
  {how}
  openid_configuration_url = https://id.example/.well-known/openid-configuration
  username_attribute = preferred_username
  scope = mail
}}
passdb oauth2 {{
  mechanisms_filter = xoauth2 oauthbearer
  fields {{
    userdb_home = {folder}/mail/%{{oauth2:sub}}
  }}
}}
{more}
"""
LOCAL = """introspection_mode = local
  oauth2_local_validation {{
    dict file {{
      path = {folder}/keys
    }}
  }}"""


def local(folder: Path, more: str = "") -> str:
    """A configuration that knows one key of each kind."""

    async def write() -> None:
        keys = open_dict(DictSettings(driver="file", file_path=str(folder / "keys")))
        transaction = keys.transaction("")
        for name in ("HS256", "RS256", "ES256"):
            transaction.set(f"shared/default/{name}/default", jwts.stored_key(name))
        assert (await transaction.commit()).ok
        await keys.close()

    asyncio.run(write())
    return CONF.format(how=LOCAL.format(folder=folder), folder=folder, more=more)


def claims(**changes: object) -> dict[str, object]:
    return jwts.claims(**{"preferred_username": "u1", "sub": "u1", "scope": "mail", **changes})


class TokenServer:
    """``with TokenServer() as server``: at ``url`` it tells what ``known`` says; ``close`` makes it go away."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, object]] = {}
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = parse_qs(body.decode())["token"][0]
                text = json.dumps(outer.known.get(token, {"active": False})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> TokenServer:
        self._thread.start()
        return self

    def close(self) -> None:
        """No further connections are taken."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(10)
            self._server.server_close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
