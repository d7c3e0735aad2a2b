"""doveadm auth test: try a user's password at the auth service, like a mail client's server does."""

from __future__ import annotations

from services.doveadm.arguments import Arguments
from services.doveadm.auth_attempt import OPTIONS, POSITIONALS, Attempt, show
from services.doveadm.auth_peer import LoginPeer
from services.doveadm.command import TEXT, Command, Option
from services.doveadm.context import Context

SOCKET = "auth-client"


def run(context: Context, arguments: Arguments) -> int:
    attempt = Attempt(context, arguments)
    path = context.socket_path(arguments.text("socket-path"), SOCKET)
    with LoginPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LoginPeer)
        answer = attempt.run(peer)
    return show(context, arguments.text("user"), answer)


COMMAND = Command(
    "auth test",
    "try a user's password",
    run,
    options=(Option("a", "socket-path", TEXT, "socket to ask (default auth-client)", "path"), *OPTIONS),
    positionals=POSITIONALS,
)
