"""One client's conversation: who it is, what it has selected, what it has switched on. PURE.

A session does no I/O of its own: it writes to its ``Client`` (the connection, or a test's stand-in) and waits only
through the client and the store. Exactly one command of a session runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from roost.events.log import Log
from roost.imap import mailbox_name
from roost.storage.api import ConnInfo, Identity, Mailbox, MailboxState, Update, User
from services.imap.resync import catch_up
from services.imap.selected import View
from services.imap.shared import Shared

WATCH_SETTLES_SECS = 0.25
GONE_MAILBOX = b"* BYE Selected mailbox was deleted or replaced, reconnect to go on.\r\n"


class Client(Protocol):
    """What a session may ask of its connection."""

    def write(self, data: bytes) -> None:
        """Send soon; never blocks."""
        ...

    def closed(self) -> bool:
        """Nobody is left to answer."""
        ...

    def due(self) -> bool:
        """A long command has had its time slice, or the client does not keep up: call ``turn``."""
        ...

    async def turn(self) -> None:
        """Let other clients have a turn; wait until this one reads on. Raises ConnectionLost."""
        ...

    async def line(self) -> bytes:
        """The next bare line from the client (SASL responses). Raises Malformed, ConnectionLost."""
        ...

    async def line_or_poke(self) -> bytes | None:
        """The next line, or None after ``poke``; whichever is first. Raises Malformed, ConnectionLost."""
        ...

    def poke(self) -> None:
        """Wake ``line_or_poke``; many pokes are one."""
        ...

    def poke_in(self, secs: float) -> None:
        """``poke`` later, once."""
        ...

    def idling(self, on_tick: Callable[[], None] | None) -> None:
        """IDLE begins (``on_tick`` is called now and then, to show life) or ends (None): no autologout inside."""
        ...

    def logged_in(self) -> None:
        """The limits and timeouts of a proved client hold from now on."""
        ...

    def begin_tls(self) -> None:
        """Start the handshake; what was written goes out in plain first."""
        ...

    def tls_name(self) -> str:
        """Protocol and cipher for the log, or ""."""
        ...

    def binding_data(self, kind: str) -> bytes | None:
        """Channel binding data of the TLS connection; None when there is none of this kind."""
        ...

    def close(self) -> None:
        """Send what was written, then end."""
        ...


class Counters:
    """What ``imap_logout_format`` reports."""

    __slots__ = ("body_count", "body_octets", "deleted", "expunged", "hdr_count", "hdr_octets", "received", "sent")

    def __init__(self) -> None:
        self.received = self.sent = 0
        self.deleted = self.expunged = 0
        self.hdr_count = self.hdr_octets = self.body_count = self.body_octets = 0


class Session:
    """See the head of this file."""

    __slots__ = (
        "auth_attempts",
        "bad_commands",
        "client",
        "condstore",
        "conn",
        "counters",
        "ending",
        "identity",
        "log",
        "mechanism",
        "registered",
        "script",
        "shared",
        "state",
        "unwatch",
        "user",
        "username",
        "view",
    )

    def __init__(self, client: Client, shared: Shared, conn: ConnInfo, log: Log) -> None:
        self.client = client
        self.shared = shared
        self.conn = conn
        self.log = log
        self.state = 1  # State.NOT_AUTHENTICATED
        self.username = ""
        self.user: User | None = None
        self.identity: Identity | None = None
        self.view: View | None = None
        self.condstore = False  # an enabling command was given (RFC 7162 §3.1)
        self.bad_commands = 0  # in a row
        self.auth_attempts = 0
        self.mechanism = ""
        self.registered = False  # anvil knows of this session
        self.ending = ""  # why the session ends, for the log; set once
        self.unwatch: Callable[[], None] | None = None
        self.script: Any = None  # what Hooks.begin gave
        self.counters = Counters()

    # ---- what commands use

    @property
    def store(self) -> User:
        """The user's mail; only after login."""
        assert self.user is not None
        return self.user

    @property
    def selected(self) -> View:
        """The view of the selected mailbox; only in commands legal in that state."""
        assert self.view is not None
        return self.view

    @property
    def plaintext_allowed(self) -> bool:
        """A password may be sent over this connection as it is."""
        return self.conn.secured or self.shared.cleartext_allowed(self.conn)

    def write(self, data: bytes) -> None:
        self.client.write(data)

    def capability_text(self) -> bytes:
        """What CAPABILITY says now."""
        user = self.user
        if user is None:
            conn = self.conn
            binds, certified = bool(conn.bindings), bool(conn.certificate)
            return self.shared.capability_text(
                False, conn.secured, self.plaintext_allowed, None, binds=binds, certified=certified
            )
        return self.shared.capability_text(True, self.conn.secured, True, user.append_limit)

    async def mailbox(self, name: str) -> Mailbox:
        """A handle to a mailbox by name; the selected one's own handle when it is meant. Raises NoSuchMailbox."""
        return await self.store.get_mailbox(self.checked_name(name))

    def checked_name(self, name: str) -> str:
        """``name`` without the trailing separator some clients send (workaround tb-extra-mailbox-sep)."""
        if name.endswith(mailbox_name.SEPARATOR) and self.shared.extra_separator and len(name) > 1:
            return name[:-1]
        return name

    def enable_condstore(self) -> bool:
        """Switch CONDSTORE on; True if it was off. The first time, a selected mailbox tells its HIGHESTMODSEQ."""
        if self.condstore or not self.shared.backend.features.condstore:
            return False
        self.condstore = True
        if self.view is not None:
            self.write(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % self.view.highest_modseq)
        return True

    # ---- what happens in the selected mailbox

    async def sync(self, *, expunge: bool, by_uid: bool = False) -> None:
        """Tell the client what has happened in its mailbox since it was last told."""
        view = self.view
        if view is None:
            return
        view.stepped = False
        changes = await view.mailbox.poll(view.cursor, claim_recent=not view.read_only, own=view.own)
        if changes.state is not MailboxState.OK:
            if changes.state is not MailboxState.TOO_OLD:
                self.write(GONE_MAILBOX)
                self.end("Selected mailbox was deleted")
                return
            changes = await catch_up(view)
            if changes.state is not MailboxState.OK:
                self.write(GONE_MAILBOX)
                self.end("Selected mailbox was replaced")
                return
        elif changes.cursor == view.cursor and not view.gone:
            if view.own:
                view.own.clear()
            return
        for rows in view.apply(changes, expunge=expunge, by_uid=by_uid, condstore=self.condstore):
            self.write(rows)
            if self.client.due():
                await self.client.turn()

    async def leave_mailbox(self) -> None:
        """Forget the selected mailbox, without expunging."""
        view, self.view = self.view, None
        if view is not None:
            self.state = 2  # State.AUTHENTICATED
            await view.mailbox.aclose()

    def watch(self) -> None:
        """Wake ``line_or_poke`` when the selected mailbox may have changed; stays on until the session ends.

        Other processes' hints come once the notify room knows of it; what happened before that is looked for once.
        """
        if self.unwatch is None:
            self.unwatch = self.shared.watch(self.username, self._hint)
            self.client.poke_in(WATCH_SETTLES_SECS)

    def _hint(self, update: Update) -> None:
        view = self.view
        if view is not None and (not update.mailbox_id or update.mailbox_id == view.mailbox.id):
            self.client.poke()

    # ---- the end

    def end(self, why: str) -> None:
        """Close the connection once what was written is out; ``why`` is for the log."""
        self.ending = self.ending or why
        self.client.close()
