"""Penalties of addresses: levels, decay, repeated guesses, expiry, a bounded table."""

from __future__ import annotations

import pytest

from roost.util.penalty import EXPIRE_SECS, MAX_CHECKSUMS, Penalties, decayed, secs_of

HERE = "192.0.2.1"


def test_seconds() -> None:
    assert [secs_of(level) for level in range(7)] == [0, 4, 8, 15, 15, 15, 15]


@pytest.mark.parametrize(
    ("level", "elapsed", "left"),
    [(0, 0, 0), (1, 0, 1), (4, 14, 4), (4, 15, 0), (1, 15, 0), (3, 14.9, 3), (9, 0, 4)],
)
def test_decay(level: int, elapsed: float, left: int) -> None:
    assert decayed(level, elapsed) == left


def test_each_new_guess_raises_a_repeated_one_does_not() -> None:
    table = Penalties(10)
    assert table.level(HERE, 100) == 0
    assert table.increase(HERE, 7, 1, 100)
    assert not table.increase(HERE, 7, 2, 101)
    assert table.level(HERE, 101) == 1
    assert table.increase(HERE, 8, 2, 102)
    assert table.level(HERE, 102) == 2
    assert table.increase(HERE, 0, 3, 103) and table.increase(HERE, 0, 4, 104), "no checksum: always new"
    assert table.level(HERE, 104) == 4
    assert table.level("192.0.2.2", 104) == 0


def test_success_ends_it_and_the_guesses_stay_known() -> None:
    table = Penalties(10)
    table.increase(HERE, 7, 1, 100)
    table.increase(HERE, 0, 0, 101)
    assert table.level(HERE, 101) == 0
    assert not table.increase(HERE, 7, 1, 102)
    assert table.level(HERE, 102) == 0


def test_expiry_counts_from_the_last_failure() -> None:
    table = Penalties(10)
    table.increase(HERE, 7, 1, 100)
    table.increase(HERE, 7, 1, 120)
    assert table.get(HERE, 120 + EXPIRE_SECS - 1) is not None
    assert table.get(HERE, 120 + EXPIRE_SECS) is None
    table.increase("other", 7, 1, 120 + EXPIRE_SECS)
    assert HERE not in table.by_address


def test_a_clock_that_goes_back_punishes_nobody_for_long() -> None:
    table = Penalties(10)
    table.increase(HERE, 7, 1, 1_000_000)
    assert table.level(HERE, 100) == 0


def test_a_flood_is_bounded() -> None:
    table = Penalties(100)
    table.increase(HERE, 1, 1, 100)
    for number in range(1000):
        table.increase(f"a{number}", 1, 1, 100)
        table.increase(HERE, number + 5, 4, 100)
    assert len(table) == 100
    assert table.level(HERE, 100) == 4, "it fails again and again, so it is not the one that is forgotten"
    assert len(table.by_address[HERE].checksums) == MAX_CHECKSUMS
