"""PURE. What databases have said lately: least recently used entries go first, and all together have at most so many
octets, their own overhead included. No clock here: every method that needs the time is told it (seconds, any origin).

A key names the database and the value of *every* variable its answer depends on (``key_of``), so nobody is ever told
another one's answer. A positive entry holds what the driver said; of a database that verifies passwords by itself also
a proof of the password that was right (``Proofs``), never the password. A negative entry says: no such user.
"""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from roost.auth.api import NO_FIELDS
from roost.util.wildcard import matches

MIN_SIZE_OCTETS: Final = 1024
NODE_OCTETS: Final = 400
"""A node, its place in the table and in the order, the entry's own object: measured, rounded up."""


class Node:
    """One remembered answer. ``fields`` None: no such user. ``was_right``: the last password compared with it was."""

    __slots__ = ("fields", "octets", "password", "proof", "since", "user", "variables", "was_right")

    def __init__(
        self,
        user: str,
        fields: Mapping[str, str] | None,
        password: str | None = None,
        proof: bytes = b"",
        *,
        was_right: bool = False,
    ) -> None:
        self.user = user
        self.fields = fields
        self.password = password
        self.proof = proof
        self.variables: Mapping[str, str] = NO_FIELDS
        self.was_right = was_right
        self.since = 0.0
        self.octets = 0


@dataclass(slots=True)
class Status:
    """What CACHE-STATUS tells."""

    hits: int
    misses: int
    pos_entries: int
    neg_entries: int
    pos_size: int
    neg_size: int
    used_size: int
    max_size: int


class AuthCache:
    """``ttl_secs``, ``negative_ttl_secs``: how long entries hold; 0: that kind is not kept."""

    def __init__(self, size_octets: int, ttl_secs: float, negative_ttl_secs: float) -> None:
        self._max = size_octets
        self.ttl_secs = ttl_secs
        self.negative_ttl_secs = negative_ttl_secs
        self._nodes: OrderedDict[str, Node] = OrderedDict()  # the one not used for longest first
        self._counts = [0, 0]  # of entries: negative, positive
        self._sizes = [0, 0]
        self._hits = self._misses = 0

    def look(self, key: str, now: float) -> tuple[Node | None, bool]:
        """The entry and whether it holds still; an expired one is for when the database cannot say."""
        node = self._nodes.get(key)
        if node is not None:
            self._nodes.move_to_end(key)
            if now - node.since < (self.negative_ttl_secs if node.fields is None else self.ttl_secs):
                self._hits += 1
                return node, True
        self._misses += 1
        return node, False

    def doubtful(self, node: Node, now: float) -> bool:
        """Whether a password that does not fit may be a new one, which the database knows and the entry does not."""
        return node.was_right or now - node.since >= self.negative_ttl_secs

    def keep(self, key: str, node: Node, now: float) -> None:
        """Remember; in place of what was there. Nothing happens when the kind is not kept, or it alone is too big."""
        self.drop(key)
        positive = node.fields is not None
        if (self.ttl_secs if positive else self.negative_ttl_secs) <= 0:
            return
        node.since = now
        node.octets = octets_of(key, node)
        if node.octets > self._max:
            return
        while sum(self._sizes) + node.octets > self._max:
            self.drop(next(iter(self._nodes)))
        self._nodes[key] = node
        self._counts[positive] += 1
        self._sizes[positive] += node.octets

    def drop(self, key: str) -> None:
        node = self._nodes.pop(key, None)
        if node is not None:
            self._counts[node.fields is not None] -= 1
            self._sizes[node.fields is not None] -= node.octets

    def flush(self, masks: Iterable[str] = ()) -> int:
        """Forget the users that one of the wildcards matches, all without any; how many entries that were."""
        wanted = list(masks)
        keys = [
            key for key, node in self._nodes.items() if not wanted or any(matches(one, node.user) for one in wanted)
        ]
        for key in keys:
            self.drop(key)
        return len(keys)

    def status(self, *, reset: bool = False) -> Status:
        """``reset``: hits and misses count from 0 again."""
        (negative, positive), (negative_size, positive_size) = self._counts, self._sizes
        found = Status(
            self._hits,
            self._misses,
            positive,
            negative,
            positive_size,
            negative_size,
            negative_size + positive_size,
            self._max,
        )
        if reset:
            self._hits = self._misses = 0
        return found


def octets_of(key: str, node: Node) -> int:
    """Memory of one entry."""
    octets = NODE_OCTETS + sys.getsizeof(key) + sys.getsizeof(node.user) + sys.getsizeof(node.proof)
    if node.password is not None:
        octets += sys.getsizeof(node.password)
    for found in (node.fields, node.variables):
        if found:
            octets += 2 * sys.getsizeof(found)  # a dict has room to grow
            octets += sum(sys.getsizeof(name) + sys.getsizeof(value) for name, value in found.items())
    return octets


def key_of(database: str, names: Iterable[str], values: Iterable[str]) -> str:
    """Of different databases, names or values no two keys are equal: no part can hold the TAB between the parts.

    Names are not empty: the first empty part ends them.
    """
    parts = [database, *names, "", *values]
    key = "\t".join(parts)
    if key.count("\t") == len(parts) - 1 and "\x01" not in key:
        return key
    return "\t".join([part.replace("\x01", "\x011").replace("\t", "\x01t") for part in parts])


class Proofs:
    """What is kept of a right password, so that it is known again: a digest under a key that no other process has."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(secret).digest()

    def of(self, key: str, password: bytes) -> bytes:
        """Of this password for this entry; equal passwords of two entries have different ones."""
        octets = key.encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, b"%d\t%b%b" % (len(octets), octets, password), "sha256")

    def fits(self, proof: bytes, key: str, password: bytes) -> bool:
        return hmac.compare_digest(proof, self.of(key, password))
