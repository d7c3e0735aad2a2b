"""doveadm auth test: try a user's password at the auth service, like a mail client's server does."""

from __future__ import annotations

import os

from roost.errors import Refused
from roost.ipc.auth import TEMP_FAIL
from services.doveadm.arguments import Arguments
from services.doveadm.auth_peer import LoginPeer, info_octets
from services.doveadm.command import LIST, TEXT, Command, Option, Positional
from services.doveadm.context import Context

SOCKET = "auth-client"


def run(context: Context, arguments: Arguments) -> int:
    user = arguments.text("user")
    parameters = info_octets(arguments.list("auth-info"))
    mechanism = arguments.text("sasl-mech", "PLAIN").upper()
    if arguments.given("password"):
        password = arguments.text("password").encode("utf-8", "surrogateescape")
    else:
        password = context.password("Password: ")
    name = user.encode("utf-8", "surrogateescape")
    master = arguments.text("master-user").encode("utf-8", "surrogateescape")
    if b"\0" in name + password + master:
        raise Refused("Names and passwords cannot have a NUL")
    if mechanism == "PLAIN":
        initial: bytes | None = b"%b\0%b\0%b" % (name if master else b"", master or name, password)
        answers: list[bytes] = []
    else:
        if master:
            raise Refused("-M needs the mechanism PLAIN")
        initial, answers = None, [name, password]
    path = context.socket_path(arguments.text("socket-path"), SOCKET)
    with LoginPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LoginPeer)
        answer = peer.authenticate(mechanism, parameters, initial, lambda _: answers.pop(0) if answers else b"")
    reason = answer.fields.get("reason") or answer.fields.get("code", "")
    shown = "succeeded" if answer.ok else "failed" + (f": {reason}" if reason else "")
    context.line(f"passdb: {user} auth {shown}")
    context.line("extra fields:")
    for key, value in answer.fields.items():
        context.line(f"  {key}={value}" if value else f"  {key}")
    if answer.ok:
        return os.EX_OK
    return os.EX_TEMPFAIL if answer.fields.get("code") == TEMP_FAIL else os.EX_NOPERM


COMMAND = Command(
    "auth test",
    "try a user's password",
    run,
    options=(
        Option("a", "socket-path", TEXT, "socket to ask (default auth-client)", "path"),
        Option("A", "sasl-mech", TEXT, "mechanism: PLAIN (default) or LOGIN", "mechanism"),
        Option("x", "auth-info", LIST, "say more of the client: service rip lip rport lport session …", "key=value"),
        Option("M", "master-user", TEXT, "authenticate as this user, to act as USER", "master"),
    ),
    positionals=(Positional("user"), Positional("password", needed=False)),
)
