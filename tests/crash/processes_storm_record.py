"""What the clients of a process storm were told, and whether that is what is found afterwards.

An operation is noted as done only after its tagged OK or its 250. One without an answer puts its letter in doubt: it
may have happened, whole, once, or not at all; nobody touches the letter again.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

SMALL, LARGE = 300, 200_000  # octets of rows and of files of their own
LARGE_EVERY = 7

Box = tuple[str, bytes]  # user, mailbox
Found = dict[int, tuple[frozenset[bytes], bytes]]  # uid -> flags, octets


def letter(number: int) -> bytes:
    """Letter ``number``; every seventh is too large for a row."""
    size = LARGE if number % LARGE_EVERY == 0 else SMALL
    lines = b"%09d some text that is told from any other by its number\r\n" % number
    return b"Message-ID: <%d@storm>\r\nSubject: letter %d\r\n\r\n" % (number, number) + lines * (size // len(lines))


@dataclass(slots=True)
class Letter:
    """What must be true of one letter. ``places``: where it is for certain, UID 0 = wherever; flags it has there."""

    number: int
    places: dict[tuple[Box, int], set[bytes]] = field(default_factory=dict)
    in_doubt: tuple[str, Box, int, Box | bytes] | None = None  # operation, box, uid, destination or flag


class Record:
    """What the clients were told. Every method is one step under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.letters: dict[int, Letter] = {}
        self.owner: dict[tuple[Box, int], int] = {}  # every UID ever told -> its letter
        self.highest: dict[Box, int] = {}
        self.validity: dict[Box, int] = {}
        self.done = 0  # operations answered with yes
        self.doubts = 0

    def new(self) -> Letter:
        with self._lock:
            number = len(self.letters) + 1
            self.letters[number] = Letter(number)
            return self.letters[number]

    def high(self, box: Box) -> int:
        """The greatest UID that anyone was told so far."""
        with self._lock:
            return self.highest.get(box, 0)

    def selected(self, box: Box, validity: int, uidnext: int, before: int) -> None:
        """``before``: ``high`` when SELECT was sent."""
        with self._lock:
            assert self.validity.setdefault(box, validity) == validity, f"UIDVALIDITY of {box} changed"
            assert uidnext > before, f"UIDNEXT {uidnext} of {box} after UID {before} was told"

    def told_uid(self, box: Box, letter: Letter, uid: int, before: int) -> None:
        """A new message has this UID; ``before``: ``high`` when the command was sent."""
        with self._lock:
            assert uid > before, f"UID {uid} in {box} after {before}"
            owner = self.owner.setdefault((box, uid), letter.number)
            assert owner == letter.number, f"UID {uid} in {box} was given to letter {owner} and to {letter.number}"
            self.highest[box] = max(uid, self.highest.get(box, 0))

    def count(self) -> None:
        with self._lock:
            self.done += 1

    def doubt(self, letter: Letter, operation: str, box: Box, uid: int = 0, to: Box | bytes = b"") -> None:
        with self._lock:
            letter.in_doubt = (operation, box, uid, to)
            self.doubts += 1

    def is_the_only_deleted(self, box: Box, uid: int) -> bool:
        """No other message in the box can be \\Deleted, nor is anything in doubt there."""
        with self._lock:
            letters = list(self.letters.values())
        for each in letters:
            if each.in_doubt is not None and box in (each.in_doubt[1], each.in_doubt[3]):
                return False
            for place, flags in each.places.items():
                if place[0] == box and place[1] != uid and b"\\Deleted" in flags:
                    return False
        return True

    # -- afterwards

    def verify(self, found: dict[Box, Found]) -> None:
        """Every letter is where it must be, with its flags and octets, and nothing else is anywhere."""
        places: dict[int, dict[tuple[Box, int], frozenset[bytes]]] = {number: {} for number in self.letters}
        for box, messages in found.items():
            for uid, (flags, octets) in messages.items():
                match = re.search(rb"Message-ID: <(\d+)@storm>", octets)
                assert match, f"UID {uid} in {box} is no letter of ours: {octets[:200]!r}"
                number = int(match[1])
                assert octets.endswith(letter(number)), f"UID {uid} in {box}: letter {number} is damaged"
                assert self.owner.get((box, uid), number) == number, f"UID {uid} in {box} is letter {number} now"
                places[number][box, uid] = flags
        for number, one in self.letters.items():
            problem = _compare(one, places[number])
            assert not problem, f"letter {number}: {problem}; wanted {one}, found {places[number]}"


def _compare(one: Letter, found: dict[tuple[Box, int], frozenset[bytes]]) -> str:
    """What is wrong, or ""."""
    rest = dict(found)
    doubted, box, uid, to = one.in_doubt or ("", ("", b""), 0, b"")
    for place, wanted in one.places.items():
        if doubted in ("move", "expunge") and place == (box, uid):
            continue
        if not place[1]:  # delivered, and never looked for
            place = next((other for other in rest if other[0] == place[0]), place)
        if place not in rest:
            return f"lost from {place}"
        flags = rest.pop(place) - {b"\\Recent"}
        allowed = wanted | {to} if doubted == "store" and place == (box, uid) else wanted
        if not wanted <= flags or not flags <= allowed:
            return f"flags {flags} instead of {wanted}"
    stayed = doubted in ("move", "expunge") and rest.pop((box, uid), None) is not None
    where = {"append": box, "deliver": box, "copy": to, "move": to}.get(doubted)
    arrived = [place for place in rest if place[0] == where]
    if doubted == "move" and stayed + len(arrived) != 1:
        return "moved half or twice"
    if len(arrived) > 1:
        return "done twice"
    return f"is also at {rest}" if len(rest) > len(arrived) else ""
