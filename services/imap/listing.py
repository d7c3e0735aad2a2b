"""LIST in all its forms: what is asked, which mailboxes answer, one row each. PURE.

RFC 9051 §6.3.9, 3348 (children), 5258 (extended), 5819 (status), 6154 (special use).

    plain     LIST reference pattern                          every mailbox that matches, with children and special uses
    extended  LIST [(selection)] reference pattern(s) [RETURN (options)]

A name that does not meet the selection but has one below it that does is shown with CHILDINFO if RECURSIVEMATCH was
asked (RFC 5258 §3.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from roost.errors import Malformed
from roost.imap import mailbox_name
from roost.imap.args import Args
from roost.imap.list_match import Match, Matcher, compile_patterns
from roost.storage.api import MailboxInfo
from services.imap import status_items

NO_MAILBOX: Final = frozenset({"\\Noselect", "\\NonExistent"})
_SELECTION: Final = frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"})
_RETURN: Final = frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS"})
_OPENING: Final = 0x28


@dataclass(slots=True)
class Listing:
    """One LIST as it was asked."""

    reference: str = ""
    patterns: list[str] = field(default_factory=list)
    extended: bool = False
    selection: set[bytes] = field(default_factory=set)
    returned: set[bytes] = field(default_factory=set)
    status: tuple[bytes, ...] = ()

    @property
    def only_separator(self) -> bool:
        """``LIST "" ""``: asks for the separator alone."""
        return not self.extended and self.patterns == [""]

    def matcher(self) -> Matcher:
        return compile_patterns(self.reference, [pattern for pattern in self.patterns if pattern])


@dataclass(frozen=True, slots=True)
class Row:
    info: MailboxInfo
    attributes: tuple[str, ...]
    child_info: bool = False


def parse(args: Args) -> Listing:
    """``SP [selection SP] reference SP pattern / "(" patterns ")" [SP "RETURN" SP options]``. Raises Malformed."""
    asked = Listing()
    args.space()
    if args.peek() == _OPENING:
        asked.extended = True
        args.open_list()
        while not args.close_list():
            name = args.keyword()
            if name not in _SELECTION:
                raise Malformed("Unknown select options")
            asked.selection.add(name)
        if b"RECURSIVEMATCH" in asked.selection and asked.selection <= {b"RECURSIVEMATCH", b"REMOTE"}:
            raise Malformed("RECURSIVEMATCH must not be the only selection")
        args.space()
    asked.reference = mailbox_name.decode_pattern(args.list_mailbox())
    args.space()
    if args.peek() == _OPENING:
        asked.extended = True
        args.open_list()
        while not args.close_list():
            asked.patterns.append(mailbox_name.decode_pattern(args.list_mailbox()))
    else:
        asked.patterns.append(mailbox_name.decode_pattern(args.list_mailbox()))
    if not args.at_end():
        _parse_return(args, asked)
    args.end()
    return asked


def _parse_return(args: Args, asked: Listing) -> None:
    args.space()
    if args.keyword() != b"RETURN":
        raise Malformed("Unknown LIST parameter")
    asked.extended = True
    args.space()
    args.open_list()
    while not args.close_list():
        name = args.keyword()
        if name not in _RETURN:
            raise Malformed("Unknown return options")
        asked.returned.add(name)
        if name == b"STATUS":
            args.space()
            asked.status = status_items.parse(args)


def rows(asked: Listing, every: Sequence[MailboxInfo], subscribed: Sequence[MailboxInfo]) -> Iterator[Row]:
    """The rows that answer, in the order of ``every``. ``subscribed`` is only read when SUBSCRIBED selects."""
    matcher = asked.matcher()
    source = subscribed if b"SUBSCRIBED" in asked.selection else every
    chosen = [info for info in source if b"SPECIAL-USE" not in asked.selection or special_uses(info)]
    parents: dict[str, None] = {}
    if b"RECURSIVEMATCH" in asked.selection:
        for info in chosen:
            parents.update(dict.fromkeys(ancestors(info.name)))
    listed = {info.name for info in chosen}
    if parents:
        known = {info.name: info for info in every}
        for name in parents:
            if name not in listed and matcher(name) is Match.YES:
                info = known.get(name) or MailboxInfo(name, "", attributes=frozenset({"\\NonExistent"}))
                chosen.append(info)
    for info in chosen:
        if matcher(info.name) is Match.YES:
            child_info = info.name in parents
            yield Row(info, _attributes(asked, info, info.name in listed), child_info)


def _attributes(asked: Listing, info: MailboxInfo, is_listed: bool) -> tuple[str, ...]:
    """Plain LIST shows children and special uses; the extended form what was asked for."""
    shown: list[str] = sorted(info.attributes & NO_MAILBOX)
    plain = not asked.extended
    selects_subscribed = b"SUBSCRIBED" in asked.selection
    if (info.subscribed and b"SUBSCRIBED" in asked.returned) or (is_listed and selects_subscribed):
        shown.append("\\Subscribed")
    if plain or b"CHILDREN" in asked.returned:
        shown.append("\\HasChildren" if info.has_children else "\\HasNoChildren")
    if plain or b"SPECIAL-USE" in asked.returned or b"SPECIAL-USE" in asked.selection:
        shown += special_uses(info)
    return tuple(shown)


def special_uses(info: MailboxInfo) -> list[str]:
    return sorted(info.attributes - NO_MAILBOX - {"\\Noinferiors"})


def ancestors(name: str) -> list[str]:
    """``a/b/c`` gives ``a``, ``a/b``."""
    parts = name.split(mailbox_name.SEPARATOR)
    return [mailbox_name.SEPARATOR.join(parts[:n]) for n in range(1, len(parts))]


def subscribed_rows(asked: Listing, subscribed: Sequence[MailboxInfo]) -> Iterator[tuple[MailboxInfo, bool]]:
    """LSUB (RFC 3501 §6.3.9): (mailbox, only a parent of what is subscribed).

    With ``%`` a name that is not subscribed but has subscribed children is shown once, as \\Noselect.
    """
    matcher = asked.matcher()
    names = {info.name for info in subscribed}
    parents: set[str] = set()
    for info in subscribed:
        if matcher(info.name) is Match.YES:
            yield info, False
            continue
        for parent in ancestors(info.name):
            if parent not in names and parent not in parents and matcher(parent) is Match.YES:
                parents.add(parent)
                yield MailboxInfo(parent, ""), True
