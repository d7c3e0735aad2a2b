"""What waits for a slow worker: merged, bounded, and honest about what it dropped."""

from __future__ import annotations

from roost.ipc.notify import RESYNC_LINE, Hint, hint_line, nobody_line, wanted_line
from services.notify.outbox import Outbox


def test_hints_of_one_mailbox_become_one() -> None:
    box = Outbox(10)
    box.hint(Hint("u", "m", 5, 1))
    box.hint(Hint("u", "n", 6, 1))
    box.hint(Hint("u", "m", 7, 2))
    assert len(box) == 2
    assert box.take() == hint_line(Hint("u", "m", 7, 3)) + hint_line(Hint("u", "n", 6, 1))
    assert len(box) == 0 and box.take() == b""


def test_the_last_state_of_a_user_counts() -> None:
    box = Outbox(10)
    box.state("u", False)
    box.state("v", False)
    box.state("u", True)
    assert box.take() == wanted_line("u") + nobody_line("v")


def test_too_much_becomes_one_resync() -> None:
    box = Outbox(3)
    for number in range(100):
        box.hint(Hint(f"u{number}", "m", 1, 1))
        box.state(f"v{number}", True)
        assert len(box) <= 3
    assert box.overflowed
    assert box.take() == RESYNC_LINE
    assert not box.overflowed
    box.hint(Hint("u", "m", 1, 1))
    assert box.take() == hint_line(Hint("u", "m", 1, 1))
