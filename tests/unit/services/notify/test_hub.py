"""The pure hub: who is told, who is muted, and nothing left behind."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.notify import hub as module
from services.notify.hub import Hub


def test_hints_go_to_the_others_that_watch() -> None:
    hub = Hub()
    a, b, c = hub.join(), hub.join(), hub.join()
    hub.watch(a, "bob")
    hub.watch(b, "bob")
    assert hub.publish(a, "bob") == [b]
    assert set(hub.publish(c, "bob")) == {a, b}
    assert hub.publish(c, "alice") == []
    hub.unwatch(b, "bob")
    assert hub.publish(a, "bob") == []
    hub.unwatch(b, "never watched")


def test_a_muted_publisher_is_told_when_somebody_watches() -> None:
    hub = Hub()
    a, b = hub.join(), hub.join()
    assert hub.mute(a, "bob") is None
    assert hub.watch(b, "bob") == [a]
    assert hub.watch(b, "bob") == []
    hub.unwatch(b, "bob")
    assert hub.watch(b, "bob") == []  # not muted any more


def test_watching_oneself_does_not_unmute_oneself() -> None:
    hub = Hub()
    a, b = hub.join(), hub.join()
    hub.mute(a, "bob")
    assert hub.watch(a, "bob") == []
    assert hub.watch(b, "bob") == [a]


def test_the_memory_of_the_muted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MUTED", 3)
    hub = Hub()
    a, b = hub.join(), hub.join()
    assert [hub.mute(a, f"u{number}") for number in range(5)] == [None, None, None, "u0", "u1"]
    assert hub.watch(b, "u0") == []
    assert hub.watch(b, "u4") == [a]


def test_the_number_of_watched_users_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WATCHED", 2)
    hub = Hub()
    a = hub.join()
    hub.watch(a, "x")
    hub.watch(a, "y")
    hub.watch(a, "y")
    with pytest.raises(OverflowError):
        hub.watch(a, "z")


def test_leaving_forgets_everything() -> None:
    hub = Hub()
    a, b = hub.join(), hub.join()
    for number in range(100):
        hub.watch(a, f"u{number}")
        hub.mute(a, f"v{number}")
    hub.leave(a)
    assert hub.users == 0 and not hub._muted
    assert hub.publish(b, "u1") == [] and hub.watch(b, "v1") == []


USERS = st.sampled_from(["u0", "u1", "u2"])


class Model(RuleBasedStateMachine):
    """No hint is ever missed: whoever watched, when a publisher kept a hint back, gets one with the next WANTED."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub()
        self.workers: dict[int, set[str]] = {}
        self.muted: dict[tuple[int, str], bool] = {}  # what each worker believes → kept a hint back
        self.unseen: set[tuple[int, str]] = set()  # (watcher, user) with a change it was not told of

    @rule()
    def join(self) -> None:
        if len(self.workers) < 4:
            self.workers[self.hub.join()] = set()

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        self.hub.leave(worker)
        del self.workers[worker]
        self.muted = {key: kept for key, kept in self.muted.items() if key[0] != worker}
        self.unseen = {key for key in self.unseen if key[0] != worker}

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), user=USERS)
    def watch(self, data: st.DataObject, user: str) -> None:
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        self.workers[worker].add(user)
        for other in self.hub.watch(worker, user):
            if self.muted.pop((other, user)):
                self._hint(other, user)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), user=USERS)
    def unwatch(self, data: st.DataObject, user: str) -> None:
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        self.workers[worker].discard(user)
        self.unseen.discard((worker, user))
        self.hub.unwatch(worker, user)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), user=USERS)
    def change(self, data: st.DataObject, user: str) -> None:
        worker = data.draw(st.sampled_from(sorted(self.workers)))
        for other, watched in self.workers.items():
            if other != worker and user in watched:
                self.unseen.add((other, user))
        if (worker, user) in self.muted:
            self.muted[worker, user] = True
        else:
            self._hint(worker, user)

    def _hint(self, worker: int, user: str) -> None:
        others = self.hub.publish(worker, user)
        for other in others:
            self.unseen.discard((other, user))
        if not others:
            assert self.hub.mute(worker, user) is None
            self.muted[worker, user] = False

    @invariant()
    def nobody_misses_a_change(self) -> None:
        assert not self.unseen


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
