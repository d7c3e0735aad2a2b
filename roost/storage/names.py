"""Mailbox names: what one may be, and what creating, deleting and renaming means for the tree of names.

Names are ``str``, NFC, elements joined by the separator. ``INBOX`` first is case-insensitive (RFC 9051 §5.1).
Nothing here touches a file: stores that use folders escape names themselves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from roost.errors import InvalidName, LimitExceeded, MailboxAlreadyExists, MailboxHasChildren, NoSuchMailbox, Refused
from roost.storage.limits import Limits

INBOX = "INBOX"
SEPARATOR = "/"

# C0, DEL, C1, line and paragraph separator (RFC 9051 §5.1 item 7, RFC 5198), and lone surrogates.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def canonical(name: str) -> str:
    """The one spelling of a name: NFC, INBOX in capitals. Does not judge it."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    head = name[:5]
    if head != INBOX and head.isascii() and head.upper() == INBOX and (len(name) == 5 or name[5] == SEPARATOR):
        name = INBOX + name[5:]
    return name


def check(name: str, limits: Limits) -> str:
    """``canonical`` of a name that may be created or subscribed. Raises InvalidName."""
    if _FORBIDDEN.search(name):
        raise InvalidName("Mailbox name has characters that are not allowed")
    name = canonical(name)
    elements = name.split(SEPARATOR)
    if not all(elements):
        raise InvalidName("Mailbox name has an empty element")
    if len(name.encode()) > limits.mailbox_name_max_length:
        raise InvalidName("Mailbox name is too long", detail="mailbox_name_max_length")
    if len(elements) > limits.mailbox_max_depth:
        raise InvalidName("Mailbox name has too many levels", detail="mailbox_max_depth")
    return name


def parents(name: str) -> list[str]:
    """``a/b/c`` gives ``a``, ``a/b``."""
    elements = name.split(SEPARATOR)
    return [SEPARATOR.join(elements[:n]) for n in range(1, len(elements))]


def inferiors(names: Iterable[str], name: str) -> list[str]:
    prefix = name + SEPARATOR
    return [other for other in names if other.startswith(prefix)]


def sort_key(name: str) -> tuple[int, list[str]]:
    """INBOX first, then by element, so that children follow their parent."""
    return (0 if name == INBOX else 1, name.split(SEPARATOR))


def with_children(names: Iterable[str]) -> set[str]:
    """Those names that are a parent of another."""
    return {parent for name in names for parent in parents(name)}


def to_create(selectable: Collection[str], name: str, limits: Limits) -> list[str]:
    """The mailboxes to make for CREATE ``name``, parents first. ``name`` is already checked.

    Raises MailboxAlreadyExists, LimitExceeded.
    """
    if name in selectable:
        raise MailboxAlreadyExists("Mailbox already exists")
    wanted = [parent for parent in parents(name) if parent not in selectable]
    wanted.append(name)
    if len(selectable) + len(wanted) > limits.mailbox_max_count:
        raise LimitExceeded("Too many mailboxes", detail="mailbox_max_count")
    return wanted


@dataclass(frozen=True, slots=True)
class Deletion:
    """``keep_name``: children remain, so the name stays as \\Noselect. ``prune``: \\Noselect parents left childless."""

    keep_name: bool
    prune: tuple[str, ...]


def to_delete(names: Collection[str], noselect: Collection[str], name: str) -> Deletion:
    """What DELETE ``name`` does. Raises NoSuchMailbox, MailboxHasChildren, Refused."""
    if name == INBOX:
        raise Refused("INBOX cannot be deleted", code="CANNOT")
    if name not in names:
        raise NoSuchMailbox("Mailbox doesn't exist")
    if inferiors(names, name):
        if name in noselect:
            raise MailboxHasChildren("Mailbox has children, delete them first")
        return Deletion(True, ())
    gone = {name}
    for parent in reversed(parents(name)):
        if parent not in noselect or any(other not in gone for other in inferiors(names, parent)):
            break
        gone.add(parent)
    return Deletion(False, tuple(sorted(gone - {name})))


@dataclass(frozen=True, slots=True)
class Renaming:
    """``create``: missing parents of the target. ``pairs``: (old, new), the mailbox itself first."""

    create: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


def to_rename(names: Collection[str], noselect: Collection[str], old: str, new: str, limits: Limits) -> Renaming:
    """What RENAME does; ``old`` is not INBOX, ``new`` is checked. Raises the errors of ``User.rename_mailbox``."""
    if old not in names:
        raise NoSuchMailbox("Mailbox doesn't exist")
    if new in names:
        raise MailboxAlreadyExists("Target mailbox already exists")
    if new.startswith(old + SEPARATOR):
        raise InvalidName("A mailbox cannot be moved into itself")
    pairs = [(old, new)]
    pairs += [(child, new + child[len(old) :]) for child in sorted(inferiors(names, old))]
    for child, target in pairs[1:]:
        if target in names:
            raise MailboxAlreadyExists("Target mailbox already exists", detail=f"{child} -> {target}")
        check(target, limits)
    create = tuple(parent for parent in parents(new) if parent not in names or parent in noselect)
    if len(names) + len(create) > limits.mailbox_max_count:
        raise LimitExceeded("Too many mailboxes", detail="mailbox_max_count")
    return Renaming(create, tuple(pairs))
