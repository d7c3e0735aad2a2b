"""The room in memory for every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kit.lmtp_memory import MemoryLmtp

Make = Callable[..., MemoryLmtp]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes rooms; closes them at the end and checks that nothing is left open."""
    made: list[MemoryLmtp] = []

    def build(**settings: object) -> MemoryLmtp:
        lmtp = MemoryLmtp(**settings)  # type: ignore[arg-type]  # settings by name
        made.append(lmtp)
        return lmtp

    yield build
    for lmtp in made:
        for connection in list(lmtp.connections):
            lmtp.call(connection.abort)
        lmtp.settle()
        assert not lmtp.tasks
        assert lmtp.open_users == 0
        assert lmtp.shared.deliveries == {}
        lmtp.close()


@pytest.fixture
def lmtp(make: Make) -> MemoryLmtp:
    return make()
