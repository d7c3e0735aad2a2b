"""One client's conversation: what was said so far, and nothing of sockets."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from roost.net.peer import Peer
from roost.smtp.address import Address
from roost.smtp.data import ChunkReader
from roost.storage.api import ConnInfo, Identity, User
from services.lmtp.shared import Shared
from services.lmtp.spool import Spool


class State(enum.IntEnum):
    """Where the conversation stands; a command's row names the states it is legal in, joined by ``|``."""

    NEW = 1  # no LHLO yet
    READY = 2
    MAIL = 4  # a sender is given
    CHUNKS = 8  # BDAT has begun


ANY = State.NEW | State.READY | State.MAIL | State.CHUNKS


@dataclass(slots=True)
class Recipient:
    """One accepted RCPT. ``shown`` is what Delivered-To says ("" = nothing). ``user`` once the store is open for it."""

    address: Address
    identity: Identity
    detail: str
    shown: str
    user: User | None = None


@dataclass(slots=True)
class Transaction:
    """From MAIL to the last reply. ``size_octets`` is what SIZE= announced, 0 if nothing."""

    id: str
    sender: Address
    size_octets: int = 0
    recipients: list[Recipient] = field(default_factory=list)
    users: set[str] = field(default_factory=set)  # counted in Shared.deliveries
    spool: Spool | None = None
    chunks: ChunkReader | None = None  # of all its BDAT commands

    def delivery(self, username: str) -> str:
        """What anvil calls this one's session."""
        return f"{self.id}/{username}"


class Session:
    """``shared`` and ``peer`` are given; everything else is what the client said."""

    __slots__ = (
        "draining", "errors", "helo", "id", "peer", "secured", "shared", "state", "transaction", "transactions"
    )  # fmt: skip

    def __init__(self, shared: Shared, peer: Peer, *, secured: bool) -> None:
        self.shared = shared
        self.peer = peer
        self.secured = secured
        self.id = shared.new_id()
        self.state = State.NEW
        self.helo = ""
        self.transaction: Transaction | None = None
        self.transactions = 0
        self.errors = 0  # commands that broke the grammar or the order
        self.draining = False  # no further transaction: the process is ending

    def begin(self, sender: Address) -> Transaction:
        """MAIL was accepted."""
        self.transactions += 1
        suffix = f":{self.transactions}" if self.transactions > 1 else ""
        self.transaction = Transaction(self.id + suffix, sender)
        self.state = State.MAIL
        return self.transaction

    async def reset(self) -> None:
        """Forget the transaction, if any; what has arrived of its message is thrown away."""
        transaction, self.transaction = self.transaction, None
        if self.state != State.NEW:
            self.state = State.READY
        if transaction is None:
            return
        for username in transaction.users:
            self.shared.leave(username, transaction.delivery(username))
        transaction.users.clear()
        if transaction.spool is not None:
            transaction.spool.close()
        for recipient in transaction.recipients:
            user, recipient.user = recipient.user, None
            if user is not None:
                await user.logout()

    def restart(self) -> None:
        """TLS has begun: nothing said before counts (RFC 3207 §4.2). There is no transaction then."""
        self.state = State.NEW
        self.helo = ""
        self.secured = True

    def conn_info(self) -> ConnInfo:
        """For the userdb and the store."""
        peer = self.peer
        transaction = self.transaction
        return ConnInfo(
            "lmtp",
            transaction.id if transaction is not None else self.id,
            peer.remote_ip,
            peer.remote_port,
            peer.local_ip,
            peer.local_port,
            self.secured,
        )
