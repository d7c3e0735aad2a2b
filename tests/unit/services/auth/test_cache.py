"""The cache by itself: keys that tell every value apart, order, memory that stays bounded, times, flushes, proofs."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from services.auth.cache import AuthCache, Node, Proofs, key_of

PARTS = st.lists(st.text(alphabet="\x01\t1tab=", max_size=4), min_size=1, max_size=4)
NAMES = st.lists(st.text(alphabet="ab", min_size=1, max_size=2), max_size=3)


@given(NAMES, PARTS, NAMES, PARTS)
def test_no_two_questions_have_one_key(
    names: list[str], values: list[str], others: list[str], theirs: list[str]
) -> None:
    same = (names, values) == (others, theirs)
    assert (key_of("P1", names, values) == key_of("P1", others, theirs)) is same
    assert key_of("P1", names, values) != key_of("P2", names, values)


def cache(size: int = 100_000, ttl: float = 10, negative: float = 5) -> AuthCache:
    return AuthCache(size, ttl, negative)


def test_entries_hold_for_their_time() -> None:
    kept = cache()
    kept.keep("a", Node("a", {"x": "1"}, "{PLAIN}pw"), 100.0)
    kept.keep("b", Node("b", None), 100.0)
    node, holds = kept.look("a", 109.9)
    assert node is not None and holds and node.fields == {"x": "1"}
    assert kept.look("a", 110.0) == (node, False), "expired, but there for when the database cannot say"
    assert kept.look("b", 104.9)[1]
    assert not kept.look("b", 105.0)[1]
    assert kept.look("c", 100.0) == (None, False)


def test_zero_keeps_nothing_of_that_kind() -> None:
    kept = cache(ttl=0)
    kept.keep("a", Node("a", {}), 0.0)
    kept.keep("b", Node("b", None), 0.0)
    assert (kept.status().pos_entries, kept.status().neg_entries) == (0, 1)
    kept = cache(negative=0)
    kept.keep("a", Node("a", {}), 0.0)
    kept.keep("b", Node("b", None), 0.0)
    assert (kept.status().pos_entries, kept.status().neg_entries) == (1, 0)


def test_a_negative_answer_takes_the_place_of_the_positive_one() -> None:
    kept = cache()
    kept.keep("a", Node("a", {}), 0.0)
    kept.keep("a", Node("a", None), 0.0)
    status = kept.status()
    assert (status.pos_entries, status.neg_entries, status.pos_size) == (0, 1, 0)
    assert status.used_size == status.neg_size > 0


def test_the_one_not_used_for_longest_goes_first() -> None:
    kept = cache(size=5000)
    number = 0
    while kept.status().pos_entries == number:
        kept.keep(f"key{number}", Node("u", {"k": "v"}), 0.0)
        number += 1
        kept.look("key0", 0.0)
    assert kept.look("key0", 0.0)[1]
    assert kept.look("key1", 0.0) == (None, False)
    assert kept.status().used_size <= 5000


def test_what_alone_is_too_big_is_not_kept_and_pushes_nobody_out() -> None:
    kept = cache(size=4000)
    kept.keep("a", Node("a", {"x": "1"}), 0.0)
    kept.keep("b", Node("b", {"x": "1" * 5000}), 0.0)
    assert kept.look("a", 0.0)[1]
    assert kept.look("b", 0.0) == (None, False)


def test_memory_is_bounded_overhead_included() -> None:
    limit = 1_000_000
    kept = cache(size=limit)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            name = f"user{number}@example.org"
            fields = {f"field{index}": f"value {number} {index}" for index in range(number % 6)}
            kept.keep(f"P1\tuser\t\t{name}", Node(name, fields, "{PLAIN}" + name, b"x" * 32), 0.0)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept.status().pos_entries > 500
    assert used < limit * 1.1


def test_flush() -> None:
    kept = cache()
    for name in ("ann@a.example", "bob@a.example", "bob@b.example"):
        kept.keep(f"P{name}", Node(name, {}), 0.0)
        kept.keep(f"U{name}", Node(name, None), 0.0)
    assert kept.flush(["bob@*", "x"]) == 4
    assert kept.flush(["BOB@*"]) == 0
    assert kept.flush() == 2
    assert kept.status().used_size == 0


def test_status_counts() -> None:
    kept = cache()
    kept.look("a", 0.0)
    kept.keep("a", Node("a", {}), 0.0)
    kept.look("a", 0.0)
    kept.look("a", 1.0)
    assert (kept.status(reset=True).hits, kept.status().misses) == (2, 0)


def test_proofs() -> None:
    proofs = Proofs(b"secret")
    proof = proofs.of("key", b"pw")
    assert proofs.fits(proof, "key", b"pw")
    assert not proofs.fits(proof, "key", b"pw2")
    assert not proofs.fits(proof, "key2", b"pw")
    assert not Proofs(b"other").fits(proof, "key", b"pw")
    assert proofs.of("ke", b"ypw") != proofs.of("key", b"pw")
    assert b"pw" not in proof
