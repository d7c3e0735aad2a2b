"""The beginning and the end of a session: greeting, from a proved name to an open store, and the log lines of both.

Log lines have Dovecot's form, so that the tools reading them go on working:

    imap-login: Login: user=<u1>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.9, mpid=4242, TLS, session=<…>
    imap(u1)<4242><…>: Disconnected: Logged out in=50 out=900 deleted=0 …
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from roost.clients.auth import AuthOk
from roost.errors import LimitExceeded, LoginForbidden, RoostError, Unavailable
from roost.imap import replies
from roost.storage.api import Identity, User
from services.imap.logline import LoginLine, Values
from services.imap.session import Session
from services.imap.shared import Hooks

LOGGED_IN_STATE = 2  # command.State.AUTHENTICATED
MAX_AUTH_ATTEMPTS = 10  # on one connection


def greet(session: Session, *, preauth: bool = False) -> None:
    """The first line of the conversation, with the capabilities (RFC 9051 §7.1.4)."""
    capabilities = session.capability_text()
    if preauth:
        text = f"Logged in as {session.username}"
        session.client.write(replies.untagged(b"PREAUTH", text, b"CAPABILITY " + capabilities))
    else:
        session.client.write(session.shared.greeting_line(capabilities))


def refuse_plaintext(session: Session) -> NoReturn:
    """A password may not be sent as it is: tells the user that it was exposed, raises LoginForbidden."""
    session.write(
        b"* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. "
        b"If anyone was listening, the password was exposed.\r\n"
    )
    raise LoginForbidden(
        "Cleartext authentication disallowed on non-secure (SSL/TLS) connections.", code="PRIVACYREQUIRED"
    )


def check_tls(session: Session) -> None:
    """Raises LoginForbidden where nobody may log in without TLS, whatever the mechanism."""
    if session.shared.tls_required and not session.conn.secured:
        raise LoginForbidden("Authentication disallowed on non-secure (SSL/TLS) connections.", code="PRIVACYREQUIRED")


def count_attempt(session: Session) -> None:
    """One more try to authenticate; after too many the connection ends. Raises LimitExceeded."""
    session.auth_attempts += 1
    if session.auth_attempts > MAX_AUTH_ATTEMPTS:
        session.write(b"* BYE Too many authentication failures.\r\n")
        session.end("Too many authentication failures")
        raise LimitExceeded("Too many authentication failures.")


async def begin(session: Session, proved: AuthOk, mechanism: str) -> bytes:
    """The client is who it says: count it, open its store. Returns the text of the tagged OK.

    Raises LimitExceeded (too many sessions of this user from this address), and what ``open_user`` raises.
    """
    shared = session.shared
    conn = session.conn
    identity = proved.identity
    username = identity.username or proved.user
    if shared.anvil is not None:
        own = identity.settings.get("mail_max_userip_connections")
        allowed = own if isinstance(own, int) else shared.mail.mail_max_userip_connections
        session.registered = True  # before the wait: who vanishes meanwhile is taken off again
        count = await shared.anvil.connect(session.conn.session_id, username, "imap", conn.remote_ip, limit=allowed)
        if allowed and count > allowed:
            leave_anvil(session)
            session.log.info(
                f"Login refused: user=<{username}>, rip={conn.remote_ip}: {count - 1} connections are open, "
                f"mail_max_userip_connections = {allowed} by setting"
            )
            raise LimitExceeded("Maximum number of connections from user+IP exceeded")
    try:
        session.user = await shared.backend.open_user(conn, identity)
        if shared.hooks is not None:
            await _run_hooks(session, shared.hooks, session.user, identity)
    except BaseException:
        leave_anvil(session)
        raise
    enter(session, identity, username, mechanism)
    return b"[CAPABILITY %b] Logged in" % session.capability_text()


async def _run_hooks(session: Session, hooks: Hooks, user: User, identity: Identity) -> None:
    """mail_lua and last_login. Raises Unavailable when the user is kept out; then the store is closed again."""
    session.user = None  # the session is nobody's until they have agreed
    try:
        script = await hooks.begin(user, identity, session.conn)
    except BaseException:
        await user.logout()
        raise
    if session.client.closed():  # it left meanwhile; ``ended`` has seen no user
        await hooks.end(script)
        await user.logout()
        raise Unavailable("The client is gone")
    session.user, session.script = user, script


def enter(session: Session, identity: Identity, username: str, mechanism: str) -> None:
    """The store is open: from here on the session speaks for ``username``."""
    shared = session.shared
    session.identity = identity
    session.username = username
    session.mechanism = mechanism
    session.state = LOGGED_IN_STATE
    session.auth_attempts = 0
    _log_login(session)
    session.log = shared.log.child(f"imap({username})<{shared.pid}><{session.conn.session_id}>: ")
    session.client.logged_in()
    if shared.on_user is not None:
        shared.on_user(username, 1)


def leave_anvil(session: Session) -> None:
    if session.registered and session.shared.anvil is not None:
        session.registered = False
        session.shared.anvil.disconnect(session.conn.session_id)


def ended(session: Session, why: str) -> None:
    """The connection is gone: forget the session everywhere, and say so in the log. Called once."""
    why = session.ending or why
    if session.unwatch is not None:
        session.unwatch()
        session.unwatch = None
    leave_anvil(session)
    if session.user is None:
        _log_aborted(session, why)
        return
    shared = session.shared
    if shared.on_user is not None:
        shared.on_user(session.username, -1)
    shared.spawn(_close(session), "close session")
    session.log.info_of(_farewell, (shared.logout_line, why, _statistics(session)))


async def _close(session: Session) -> None:
    """Give back what the session held of the store."""
    user, session.user = session.user, None
    hooks = session.shared.hooks
    try:
        if session.view is not None:
            await session.leave_mailbox()
        if hooks is not None:
            script, session.script = session.script, None
            await hooks.end(script)
        if user is not None:
            await user.logout()
    except RoostError as exc:
        session.shared.complain(session.log, "warning", f"logout: {exc}")


def _log_login(session: Session) -> None:
    shared = session.shared
    shared.login_log.info_of(_login_line, (shared.login_line, "Login", _login_values(session)))


def _log_aborted(session: Session, why: str) -> None:
    attempts = f"auth failed, {session.auth_attempts} attempts" if session.auth_attempts else "no auth attempts"
    message = f"Disconnected: {why} ({attempts})"
    shared = session.shared
    shared.login_log.info_of(_login_line, (shared.login_line, message, _login_values(session)))


def _login_line(found: tuple[LoginLine, str, Values]) -> str:
    line, message, values = found
    return line.text(message, values)


def _login_values(session: Session) -> Values:
    """The values of ``shared.LOGIN_NAMES``."""
    conn = session.conn
    tls = session.client.tls_name() if conn.secured else ""
    return (
        session.username,
        session.mechanism,
        conn.remote_ip,
        conn.local_ip,
        conn.remote_port,
        conn.local_port,
        session.shared.pid if session.username else "",
        ("TLS" if tls else "secured") if conn.secured else "",
        tls,
        conn.session_id,
        "imap",
        "imap",
    )


def _statistics(session: Session) -> Values:
    """The values of ``shared.LOGOUT_NAMES``."""
    counters = session.counters
    return (
        session.username,
        session.conn.session_id,
        counters.received,
        counters.sent,
        counters.deleted,
        counters.expunged,
        0,
        0,
        0,
        counters.hdr_count,
        counters.hdr_octets,
        counters.body_count,
        counters.body_octets,
    )


def _farewell(found: tuple[Callable[[Values], str], str, Values]) -> str:
    """The last line: why, and ``imap_logout_format``."""
    form, why, values = found
    try:
        statistics = form(values)
    except RoostError as exc:
        statistics = f"(imap_logout_format: {exc})"
    return f"Disconnected: {why} {statistics}".rstrip()
