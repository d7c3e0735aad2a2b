"""What every dict driver must do (``roost/dict/api.py``), as tests for pytest.

Derive a class from ``DictSuite`` in a test module of your own, name it ``Test…`` and implement ``settings``::

    class TestMyDriver(DictSuite):
        def settings(self, tmp_path):
            return DictSettings(name="mine", driver="mine", python_settings={…})

The driver is found by its entry point; without one, implement ``make`` too. Drivers whose data ends with the process
set ``lasting = False``; those that share it between processes set ``processes = True``. ``pass_time`` lets a driver's
own clock go on, for those that do not use ``surroundings.clock``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from roost.dict.api import Flags, Outcome, Surroundings
from roost.dict.front import Dict
from roost.dict.opening import open_dict
from roost.errors import LimitExceeded, Malformed
from roost.settings.schema.dict import DictSettings
from roost.testing.dict_processes import WAIT_SECS, ProcessTests, increase, put

T = TypeVar("T")

START = 1_700_000_000.0
VALUES = (
    b"",
    b"1",
    b"two words",
    b"tab\there",
    b"line\nbreak\r\n",
    b"\x00\x01\x02",
    "åäö".encode(),
    b"\xff\xfe",
    b"%{user}",
)
NAMES = (
    "plain",
    "with space",
    "tab\there",
    "line\nbreak",
    "\x01n",
    "per%cent",
    "*",
    "?",
    "[a]",
    "a\\b",
    "\udcff",
    "åäö",
    "'\"",
)
USERS = ("alice", "alice@example.org", "al", "a/b", "a\\-b", "%{home}", "..", "*", "shared", "b'ob")


class Clock:
    """A clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class DictSuite(ProcessTests):
    """The tests. See the head of this file."""

    lasting = True
    separate = True  # shared/alice/x and alice's priv/x are two keys

    @pytest.fixture(autouse=True)
    def _surroundings(self, tmp_path: Path) -> None:
        async def home(user: str) -> str:
            return str(tmp_path / "homes" / user.replace("/", "_"))

        self.clock = Clock()
        self.surroundings = Surroundings(clock=self.clock, home=home, base_dir=str(tmp_path))

    def make(self, tmp_path: Path, surroundings: Surroundings, settings: DictSettings | None = None) -> Dict:
        return open_dict(settings or self.settings(tmp_path), surroundings)

    async def pass_time(self, tmp_path: Path, secs: float) -> None:
        self.clock.now += secs

    def run(self, tmp_path: Path, work: Callable[[Dict], Awaitable[T]], settings: DictSettings | None = None) -> T:
        """``work`` with an open dict, which is closed afterwards."""

        async def opened() -> T:
            one = self.make(tmp_path, self.surroundings, settings)
            try:
                async with asyncio.timeout(WAIT_SECS):
                    return await work(one)
            finally:
                await one.close()

        return asyncio.run(opened())

    # --- lookup, set, unset

    def test_what_is_set_is_found_octet_by_octet(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            for name in NAMES:
                for number, value in enumerate(VALUES):
                    change.set(f"shared/{name}/{number}", value)
                    change.set(f"priv/{name}/{number}", value + b"p")
            assert (await change.commit()).ok
            for name in NAMES:
                for number, value in enumerate(VALUES):
                    assert await one.lookup(f"shared/{name}/{number}", "alice") == (value,)
                    assert await one.lookup(f"priv/{name}/{number}", "alice") == (value + b"p",)

        self.run(tmp_path, work)

    def test_absent_keys_are_none(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            change.set("shared/a/b", b"1")
            assert (await change.commit()).ok
            for key in ("shared/a", "shared/a/", "shared/a/b/c", "shared/", "shared/A/b", "priv/a/b", "shared/*"):
                assert await one.lookup(key, "alice") is None

        self.run(tmp_path, work)

    def test_unset_removes_and_may_be_repeated(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            await put(one, "alice", {"shared/a": b"1", "shared/b": b"2"})
            for _ in range(2):
                change = one.transaction("alice")
                change.unset("shared/a")
                assert (await change.commit()).ok
            assert await one.lookup("shared/a", "alice") is None
            assert await one.lookup("shared/b", "alice") == (b"2",)

        self.run(tmp_path, work)

    def test_changes_happen_in_their_order(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            change.set("shared/a", b"1")
            change.atomic_inc("shared/a", 4)
            change.set("shared/b", b"1")
            change.unset("shared/b")
            change.unset("shared/c")
            change.set("shared/c", b"3")
            assert (await change.commit()).ok
            found = [await one.lookup(f"shared/{name}", "alice") for name in "abc"]
            assert found == [(b"5",), None, (b"3",)]

        self.run(tmp_path, work)

    def test_users_do_not_see_one_another(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            for number, user in enumerate(USERS):
                await put(one, user, {"priv/key": b"%d" % number, f"priv/{number}": b"x"})
            for number, user in enumerate(USERS):
                assert await one.lookup("priv/key", user) == (b"%d" % number,)
                keys = [key for key, _ in await one.all_rows("priv/", Flags.RECURSE | Flags.SORT_BY_KEY, user)]
                assert keys == [f"priv/{number}", "priv/key"]

        self.run(tmp_path, work)

    def test_private_and_shared_keys_are_apart(self, tmp_path: Path) -> None:
        if not self.separate:
            pytest.skip("this driver writes shared/USER/x and priv/x as one key, as Dovecot does")

        async def work(one: Dict) -> None:
            await put(one, "alice", {"priv/x": b"p", "shared/x": b"s", "shared/alice/x": b"sa", "shared/priv/x": b"sp"})
            assert await one.lookup("priv/x", "alice") == (b"p",)
            assert await one.lookup("shared/alice/x", "alice") == (b"sa",)
            assert await one.all_rows("priv/", Flags.RECURSE, "alice") == [("priv/x", (b"p",))]

        self.run(tmp_path, work)

    def test_what_was_committed_is_there_after_reopening(self, tmp_path: Path) -> None:
        if not self.lasting:
            pytest.skip("this driver's data ends with the process")
        self.run(tmp_path, lambda one: put(one, "alice", {"shared/a": b"1", "priv/b": b"2"}))

        async def work(one: Dict) -> None:
            assert await one.lookup("shared/a", "alice") == (b"1",)
            assert await one.lookup("priv/b", "alice") == (b"2",)

        self.run(tmp_path, work)

    # --- keys, limits, transactions

    def test_keys_need_their_prefix_and_private_ones_a_user(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            for key in ("", "x", "sharedx", "/shared/x", "Shared/x", "pri/x"):
                with pytest.raises(Malformed, match="Invalid dict key prefix"):
                    await one.lookup(key, "alice")
                with pytest.raises(Malformed, match="Invalid dict key prefix"):
                    await one.all_rows(key, Flags.NONE, "alice")
                with pytest.raises(Malformed, match="Invalid dict key prefix"):
                    one.transaction("alice").set(key, b"")
            with pytest.raises(Malformed, match="priv/ dict key prefix requires username"):
                await one.lookup("priv/x")
            with pytest.raises(Malformed, match="priv/ dict key prefix requires username"):
                one.transaction().unset("priv/x")

        self.run(tmp_path, work)

    def test_limits_are_kept(self, tmp_path: Path) -> None:
        base = self.run(tmp_path, given_settings)
        small = replace(base, max_key_octets=64, max_value_octets=10, max_transaction_keys=3, max_iterate_rows=4)

        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            with pytest.raises(LimitExceeded):
                change.set("shared/" + "k" * 64, b"")
            with pytest.raises(LimitExceeded):
                change.set("shared/k", b"v" * 11)
            for number in range(3):
                change.set(f"shared/{number}", b"v" * 10)
            with pytest.raises(LimitExceeded):
                change.unset("shared/one-more")
            assert (await change.commit()).ok
            await put(one, "alice", {"shared/3": b"1", "shared/4": b"2"})
            with pytest.raises(LimitExceeded):
                await one.all_rows("shared/", Flags.NONE, "alice")
            assert len(await one.all_rows("shared/", Flags.NONE, "alice", max_rows=4)) == 4
            with pytest.raises(LimitExceeded):
                one.transaction("alice", small.max_expire_secs + 1)

        self.run(tmp_path, work, small)

    def test_nothing_happens_before_commit_or_after_rollback(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            change.set("shared/a", b"1")
            assert await one.lookup("shared/a", "alice") is None
            change.rollback()
            assert await one.lookup("shared/a", "alice") is None
            for end in (change.rollback, lambda: change.set("shared/a", b"")):
                with pytest.raises(Malformed, match="dict transaction already aborted"):
                    end()
            change = one.transaction("alice")
            assert (await change.commit()).ok
            with pytest.raises(Malformed, match="dict transaction already committed"):
                await change.commit()
            with pytest.raises(Malformed, match="dict transaction already committed"):
                change.rollback()

        self.run(tmp_path, work)

    def test_a_timestamp_is_accepted(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            change.set_timestamp(1_700_000_000, 999_999_999)
            change.set("shared/a", b"1")
            assert (await change.commit()).ok
            with pytest.raises(Malformed):
                one.transaction().set_timestamp(1, -1)

        self.run(tmp_path, work)

    def test_calls_that_are_given_up_never_answer_others(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            await put(one, "alice", {f"shared/{number}": b"%d" % number for number in range(20)})
            for turns in range(40):
                given_up = [asyncio.ensure_future(one.lookup(f"shared/{number}", "alice")) for number in range(10)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for call in given_up:
                    call.cancel()
                found = await asyncio.gather(*(one.lookup(f"shared/{number}", "alice") for number in range(20)))
                assert found == [(b"%d" % number,) for number in range(20)]
                await asyncio.gather(*given_up, return_exceptions=True)

        self.run(tmp_path, work)

    # --- atomic_inc

    def test_numbers_are_increased(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            await put(one, "alice", {"priv/n": b"10"})
            for diff, expected in ((5, b"15"), (-20, b"-5"), (0, b"-5"), (1 << 40, b"1099511627771")):
                change = one.transaction("alice")
                change.atomic_inc("priv/n", diff)
                assert (await change.commit()).ok
                assert await one.lookup("priv/n", "alice") == (expected,)

        self.run(tmp_path, work)

    def test_an_absent_number_is_not_found_and_nothing_is_done(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            change = one.transaction("alice")
            change.set("shared/other", b"1")
            change.atomic_inc("shared/n", 1)
            assert (await change.commit()).outcome is Outcome.NOTFOUND
            assert await one.all_rows("shared/", Flags.RECURSE, "alice") == []

        self.run(tmp_path, work)

    def test_what_is_no_number_fails_and_nothing_is_done(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            for value in (b"", b"x", b"1.5", b"9223372036854775807", b"99999999999999999999999"):
                await put(one, "alice", {"shared/n": value})
                change = one.transaction("alice")
                change.set("shared/other", b"1")
                change.atomic_inc("shared/n", 1)
                assert (await change.commit()).outcome is Outcome.FAILED, value
                assert await one.lookup("shared/n", "alice") == (value,)
                assert await one.lookup("shared/other", "alice") is None

        self.run(tmp_path, work)

    def test_increments_at_once_in_one_process_lose_nothing(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            await put(one, "alice", {"shared/n": b"0"})
            results = await asyncio.gather(*(increase(one) for _ in range(30)))
            assert all(results)
            assert await one.lookup("shared/n", "alice") == (b"30",)

        self.run(tmp_path, work)

    # --- iteration

    def test_iteration_and_its_flags(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            stored = {"shared/a/1": b"3", "shared/a/2": b"2", "shared/a/b/3": b"1", "shared/a": b"0", "shared/ab": b"9"}
            await put(one, "alice", {**stored, "priv/a/1": b"p"})

            async def keys(path: str, flags: Flags = Flags.NONE, **more: int) -> list[str]:
                return [key.removeprefix("shared/") for key, _ in await one.all_rows(path, flags, "alice", **more)]

            assert sorted(await keys("shared/a/")) == ["a/1", "a/2"]
            assert sorted(await keys("shared/a/", Flags.RECURSE)) == ["a/1", "a/2", "a/b/3"]
            assert await keys("shared/a/", Flags.RECURSE | Flags.SORT_BY_KEY) == ["a/1", "a/2", "a/b/3"]
            assert await keys("shared/a/", Flags.RECURSE | Flags.SORT_BY_VALUE) == ["a/b/3", "a/2", "a/1"]
            assert await keys("shared/a", Flags.EXACT_KEY) == ["a"]
            assert await keys("shared/nothing", Flags.EXACT_KEY) == []
            assert sorted(await keys("shared/")) == ["a", "ab"]
            assert sorted(await keys("shared/a")) == ["a", "ab"]
            assert await keys("shared/a/", Flags.SORT_BY_KEY, max_rows=1) == ["a/1"]
            assert await keys("shared/b/") == []
            rows = await one.all_rows("shared/a/", Flags.NO_VALUE | Flags.SORT_BY_VALUE, "alice")
            assert rows == [("shared/a/2", ()), ("shared/a/1", ())]
            assert await one.all_rows("priv/", Flags.RECURSE, "alice") == [("priv/a/1", (b"p",))]

        self.run(tmp_path, work)

    def test_names_are_no_patterns(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            await put(one, "alice", {f"shared/{name}/x": b"1" for name in (*NAMES, "zz")})
            for name in NAMES:
                assert await one.all_rows(f"shared/{name}/", Flags.NONE, "alice") == [(f"shared/{name}/x", (b"1",))]

        self.run(tmp_path, work)

    # --- expiry

    def test_what_expires_is_gone_and_the_rest_is_not(self, tmp_path: Path) -> None:
        async def work(one: Dict) -> None:
            await put(one, "alice", {"shared/short": b"5", "shared/renewed": b"1", "shared/counted": b"7"}, 10)
            await put(one, "alice", {"shared/long": b"2"}, 1000)
            await put(one, "alice", {"shared/ever": b"3"})
            await self.pass_time(tmp_path, 5)
            await put(one, "alice", {"shared/renewed": b"4"})
            change = one.transaction("alice")
            change.atomic_inc("shared/counted", 1)  # keeps its expiry
            assert (await change.commit()).ok
            assert await one.lookup("shared/short", "alice") == (b"5",)
            await self.pass_time(tmp_path, 6)
            for name, value in (("short", None), ("counted", None), ("renewed", (b"4",)), ("long", (b"2",))):
                assert await one.lookup(f"shared/{name}", "alice") == value, name
            left = [key for key, _ in await one.all_rows("shared/", Flags.SORT_BY_KEY, "alice")]
            assert left == ["shared/ever", "shared/long", "shared/renewed"]
            change = one.transaction("alice")
            change.atomic_inc("shared/short", 1)
            assert (await change.commit()).outcome is Outcome.NOTFOUND

        self.run(tmp_path, work)


async def given_settings(one: Dict) -> DictSettings:
    return one.settings


__all__ = ["Clock", "Dict", "DictSuite"]
