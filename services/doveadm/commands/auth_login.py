"""doveadm auth login: authenticate as a login room does, and show what the mail process would be told."""

from __future__ import annotations

import os

from services.doveadm.arguments import Arguments
from services.doveadm.auth_attempt import OPTIONS, POSITIONALS, Attempt, show
from services.doveadm.auth_peer import LoginPeer, LookupPeer
from services.doveadm.command import TEXT, Command, Option
from services.doveadm.context import Context

LOGIN_SOCKET, MASTER_SOCKET = "auth-login", "auth-master"


def run(context: Context, arguments: Arguments) -> int:
    attempt = Attempt(context, arguments)
    login_path = context.socket_path(arguments.text("auth-login-socket-path"), LOGIN_SOCKET)
    master_path = context.socket_path(arguments.text("auth-master-socket-path"), MASTER_SOCKET)
    with LoginPeer(login_path, context.timeout_secs) as peer:
        assert isinstance(peer, LoginPeer)
        answer = attempt.run(peer)
        status = show(context, arguments.text("user"), answer)
        if not answer.ok:
            return status
        with LookupPeer(master_path, context.timeout_secs) as master:
            assert isinstance(master, LookupPeer)
            found = master.request(peer.handshake.cookie)
    if found.user is None:
        context.error(f"userdb lookup: user {answer.fields.get('user', '')} doesn't exist")
        return os.EX_NOUSER
    context.line(f"userdb user: {found.user}")
    context.line("userdb extra fields:")
    for key, value in found.fields.items():
        context.line(f"  {key}={value}" if value else f"  {key}")
    return status


COMMAND = Command(
    "auth login",
    "authenticate as a mail client does, with the userdb's answer",
    run,
    options=(
        Option("a", "auth-login-socket-path", TEXT, "socket to authenticate at (default auth-login)", "path"),
        Option("m", "auth-master-socket-path", TEXT, "socket to ask for the user at (default auth-master)", "path"),
        *OPTIONS,
    ),
    positionals=POSITIONALS,
)
