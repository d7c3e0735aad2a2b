"""``SimpleBackend``: the base of stores that only load and commit, and the user sessions on it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence

from roost.errors import NoSuchMailbox
from roost.storage import names
from roost.storage.api import BackendContext, ConnInfo, Features, Identity, MailboxInfo
from roost.storage.limits import Limits
from roost.storage.simple.account import Account
from roost.storage.simple.mailbox import SimpleMailbox
from roost.storage.simple.plan import Planner
from roost.storage.simple.steps import Step
from roost.storage.upload import Upload


class SimpleBackend:
    """Derive from it and give ``load`` and ``commit``. One process only: it never looks at the disk again."""

    features = Features()

    def __init__(self, context: BackendContext) -> None:
        self.context = context
        self.limits = Limits.of(context.settings)
        self.accounts: dict[str, Account] = {}

    # -- for the derived class --------------------------------------------------------------------------------------

    def load(self, identity: Identity) -> Iterable[Sequence[Step]]:
        """Every change ever committed for this user, in order; nothing for a new one. Raises Unavailable, Corrupt."""
        return ()

    def commit(self, identity: Identity, steps: Sequence[Step]) -> None:
        """Make one change durable as a whole, or raise (Unavailable, ReadOnly) and leave no trace."""

    # -- Backend ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Nothing to do; a derived class may check its place here."""

    async def aclose(self) -> None:
        """Forget the accounts in memory."""
        self.accounts.clear()

    async def open_user(self, conn: ConnInfo, identity: Identity) -> SimpleUser:
        return SimpleUser(self, identity)

    # -- for users and mailboxes ------------------------------------------------------------------------------------

    def account(self, identity: Identity) -> Account:
        """The user's account, loaded at the first call and given its first mailboxes when new."""
        account = self.accounts.get(identity.username)
        if account is None:
            account = Account(identity.username)
            for steps in self.load(identity):
                account.apply(steps)
            if not account.names:
                first = Planner(account, self.limits, now()).first_mailboxes()
                self.commit(identity, first)
                account.apply(first)
            self.accounts[identity.username] = account
        return account

    def change(self, identity: Identity, account: Account, steps: Sequence[Step]) -> None:
        """Commit, apply, tell."""
        if steps:
            self.commit(identity, steps)
            for hint in account.apply(steps):
                self.context.publish(hint)


class SimpleUser:
    """One session of a user."""

    def __init__(self, backend: SimpleBackend, identity: Identity) -> None:
        self.backend = backend
        self.identity = identity
        self.username = identity.username
        self.append_limit = identity.append_limit(backend.limits.mail_max_message_octets)

    @property
    def account(self) -> Account:
        return self.backend.account(self.identity)

    def planner(self) -> Planner:
        return Planner(self.account, self.backend.limits, now())

    def change(self, steps: Sequence[Step]) -> None:
        self.backend.change(self.identity, self.account, steps)

    async def list_mailboxes(self, *, subscribed: bool = False) -> Sequence[MailboxInfo]:
        account = self.account
        wanted: Iterable[str] = account.subscriptions if subscribed else account.all_names
        with_children = names.with_children(account.all_names)
        return [account.info(name, with_children) for name in sorted(wanted, key=names.sort_key)]

    async def get_mailbox(self, name: str) -> SimpleMailbox:
        box = self.account.names.get(names.canonical(name))
        if box is None:
            raise NoSuchMailbox("Mailbox doesn't exist")
        return SimpleMailbox(self, box)

    async def create_mailbox(self, name: str, *, special_use: Collection[str] = ()) -> MailboxInfo:
        self.change(self.planner().create(name, special_use))
        return self.account.info(names.canonical(name))

    async def delete_mailbox(self, name: str) -> None:
        self.change(self.planner().delete(name))

    async def rename_mailbox(self, existing: str, new: str) -> None:
        self.change(self.planner().rename(existing, new))

    async def set_subscribed(self, name: str, subscribed: bool) -> None:
        self.change(self.planner().subscribe(name, subscribed))

    def new_upload(self, size_octets: int) -> Upload:
        return Upload(size_octets, limit_octets=self.append_limit)

    async def logout(self) -> None:
        """Nothing is held for a session."""


def now() -> int:
    return int(time.time())
