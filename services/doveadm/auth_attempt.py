"""What ``doveadm auth test`` and ``auth login`` share: an attempt to authenticate, told by options, and its outcome."""

from __future__ import annotations

import os

from roost.errors import Refused
from roost.ipc.auth import TEMP_FAIL
from services.doveadm.arguments import Arguments
from services.doveadm.auth_peer import AuthAnswer, LoginPeer, info_octets
from services.doveadm.command import LIST, TEXT, Option, Positional
from services.doveadm.context import Context

OPTIONS = (
    Option("A", "sasl-mech", TEXT, "mechanism: PLAIN (default) or LOGIN", "mechanism"),
    Option("x", "auth-info", LIST, "say more of the client: service rip lip rport lport session …", "key=value"),
    Option("M", "master-user", TEXT, "authenticate as this user, to act as USER", "master"),
)
POSITIONALS = (Positional("user"), Positional("password", needed=False))


class Attempt:
    """``Attempt(context, arguments).run(peer)``. Asks for the password if it is not given. Raises Refused, Usage."""

    def __init__(self, context: Context, arguments: Arguments) -> None:
        user = arguments.text("user")
        self.parameters = info_octets(arguments.list("auth-info"))
        self.mechanism = arguments.text("sasl-mech", "PLAIN").upper()
        if arguments.given("password"):
            password = arguments.text("password").encode("utf-8", "surrogateescape")
        else:
            password = context.password("Password: ")
        name = user.encode("utf-8", "surrogateescape")
        master = arguments.text("master-user").encode("utf-8", "surrogateescape")
        if b"\0" in name + password + master:
            raise Refused("Names and passwords cannot have a NUL")
        self._initial: bytes | None = None
        self._answers: list[bytes] = []
        if self.mechanism == "PLAIN":
            self._initial = b"%b\0%b\0%b" % (name if master else b"", master or name, password)
        elif master:
            raise Refused("-M needs the mechanism PLAIN")
        else:
            self._answers = [name, password]

    def run(self, peer: LoginPeer) -> AuthAnswer:
        """Raises Refused (no such mechanism), Unavailable."""
        answers = list(self._answers)
        return peer.authenticate(
            self.mechanism, self.parameters, self._initial, lambda _: answers.pop(0) if answers else b""
        )


def show(context: Context, user: str, answer: AuthAnswer) -> int:
    """Print the outcome; returns the exit code."""
    reason = answer.fields.get("reason") or answer.fields.get("code", "")
    shown = "succeeded" if answer.ok else "failed" + (f": {reason}" if reason else "")
    context.line(f"passdb: {user} auth {shown}")
    context.line("extra fields:")
    show_fields(context, answer)
    if answer.ok:
        return os.EX_OK
    return os.EX_TEMPFAIL if answer.fields.get("code") == TEMP_FAIL else os.EX_NOPERM


def show_fields(context: Context, answer: AuthAnswer) -> None:
    for key, value in answer.fields.items():
        context.line(f"  {key}={value}" if value else f"  {key}")
