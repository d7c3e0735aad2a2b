"""What the dict commands share: options, opening the dict that the configuration names, texts and statuses.

The commands work on the database themselves, as the user who runs them; a server need not be running.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import NoReturn

from roost.dict.api import Outcome, Surroundings
from roost.dict.front import Dict, Transaction
from roost.dict.keys import PRIVATE, SHARED
from roost.errors import ConfigError, RoostError, Unavailable
from services.doveadm.arguments import Arguments, Usage
from services.doveadm.command import NUMBER, TEXT, Option, Positional
from services.doveadm.context import Context

NOT_FOUND = 68

USER = Option("u", "user", TEXT, "whose priv/ keys they are", "user")
TIMESTAMP = Option("t", "timestamp", TEXT, "when it was written, in nanoseconds", "ns")
EXPIRE = Option("e", "expire-secs", NUMBER, "it is gone after so many seconds", "secs")
NAME = Positional("dict-name")
KEY = Positional("key")


class Given(Exception):
    """The command ends here: the message has been printed."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def with_dict(context: Context, arguments: Arguments, key: str, work: Callable[[Dict, str], Awaitable[int]]) -> int:
    """Run ``work(dict, user)``; returns its status or that of a failure. Raises Usage."""
    user = arguments.text("user")
    if not key.startswith((SHARED, PRIVATE)):
        context.error(f"Key must begin with '{PRIVATE}' or '{SHARED}': {key}")
        return os.EX_USAGE
    if key.startswith(PRIVATE) and not user:
        context.error(f"-u must be specified for {PRIVATE} keys")
        return os.EX_USAGE
    try:
        return asyncio.run(_opened(context, arguments.text("dict-name"), user, work))
    except Given as end:
        return end.status


async def _opened(context: Context, name: str, user: str, work: Callable[[Dict, str], Awaitable[int]]) -> int:
    from roost.dict.opening import Dicts

    async def home(of: str) -> str:
        return _home(context, of)

    config = context.config
    dicts = Dicts(config, Surroundings(home=home, base_dir=context.base_dir))
    try:
        one = dicts.get(name)
    except ConfigError as error:
        context.error(f"dict_init({name}) failed: {error.why}")
        return os.EX_TEMPFAIL
    try:
        return await work(one, user)
    finally:
        await dicts.close()


async def change(
    context: Context, arguments: Arguments, work: Callable[[Transaction], None], one: Dict, user: str
) -> int:
    """One transaction with the options of the command line; returns the status. Raises RoostError."""
    transaction = one.transaction(user, arguments.number("expire-secs"))
    if arguments.given("timestamp"):
        word = arguments.text("timestamp")
        if not (word.isascii() and word.isdigit() and len(word) < 20):
            raise Usage(f"-t needs a number, not '{word}'")
        transaction.set_timestamp(*divmod(int(word), 1_000_000_000))
    work(transaction)
    result = await transaction.commit()
    if result.outcome is Outcome.NOTFOUND:
        context.error(result.reason)
        return NOT_FOUND
    if not result.ok:
        maybe = ": it may have been done" if result.outcome is Outcome.UNCERTAIN else ""
        context.error(f"dict_transaction_commit() failed: {result.reason}{maybe}")
        return os.EX_TEMPFAIL
    return os.EX_OK


def failed(context: Context, call: str, error: RoostError) -> NoReturn:
    """``dict_lookup(shared/x) failed: …``. Raises what ends the command with status 75."""
    context.error(f"{call} failed: {error}")
    raise Given(os.EX_TEMPFAIL)


def shown(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def octets(word: str) -> bytes:
    return os.fsencode(word)


def _home(context: Context, user: str) -> str:
    """The home directory, from the userdbs or the configuration. Raises RoostError."""
    from roost.settings.schema.auth import AuthSettings
    from roost.settings.schema.mail import MailSettings
    from roost.settings.variables import expand_path
    from services.doveadm.auth_peer import LookupPeer, info_octets

    path = context.socket_path("", context.config.section(AuthSettings).auth_socket_path)
    with LookupPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LookupPeer)
        looked = peer.look_up(b"USER", user, info_octets(()))
    if looked.user is None:
        raise Unavailable(f"User {user} doesn't exist")
    fields = dict(looked.fields)
    return fields.get("home") or expand_path(context.config.section(MailSettings).mail_home, {**fields, "user": user})
