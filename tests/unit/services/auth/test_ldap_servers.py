"""ldap and its servers: many questions, TLS, death, silence, several of them, long lists; and what the log says."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from kit.ldap_users import FIELDS, PERSON, binding, fill, find, passdb, userdb, verify
from kit.slapd import PASSWORD, Slapd, directory
from kit.wait import nothing_happens, until

from roost.auth.api import Outcome, Query, Verifier, verifier_of
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.testing.passdb import (
    KNOWN_PASSWORD,
    USERS,
    DriverContext,
    driver_context,
)
from roost.util.secret import Secret
from services.auth.ldap.connection import Connection

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True, scope="module")
def server() -> Slapd:
    return directory()


@pytest.fixture(scope="module")
def branch() -> str:
    made = directory().branch()
    fill(made, USERS)
    return made


def test_many_at_once(branch: str) -> None:
    driver = passdb(branch, fields=FIELDS, ldap_connection_limit=2)

    async def run() -> list[Any]:
        return await asyncio.gather(*(driver.find(Query("alice" if n % 2 else "mallory")) for n in range(50)))

    assert [entry is not None for entry in asyncio.run(run())] == [bool(number % 2) for number in range(50)]


def test_too_many_waiting_are_told_to_come_back(branch: str) -> None:
    driver = passdb(branch, fields=FIELDS, ldap_connection_limit=1, ldap_queue_limit=5)

    async def run() -> list[Any]:
        return await asyncio.gather(*(driver.find(Query("alice")) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(one, Unavailable) for one in asyncio.run(run())) == 14


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")
def test_tls_and_whom_it_trusts(server: Slapd, branch: str, scheme: str) -> None:
    address: dict[str, Any] = {"ldap_uris": server.tls}
    if scheme == "ldap":
        address = {"ldap_uris": server.tcp, "ldap_starttls": True}
    trusted = {"ssl_client_ca_file": str(server.ca_file)}
    assert find(passdb(branch, fields=FIELDS, **address, **trusted), "alice") is not None
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        find(passdb(branch, fields=FIELDS, **address), "alice")
    assert find(passdb(branch, fields=FIELDS, **address, ssl_client_require_valid_cert=False), "alice") is not None
    address["ldap_uris"] = address["ldap_uris"].replace("127.0.0.1", "localhost")
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        find(passdb(branch, fields=FIELDS, **address, **trusted), "alice")


def test_a_server_that_dies_is_found_again(server: Slapd, branch: str) -> None:
    searching, verifying = passdb(branch, fields=FIELDS), binding(branch)
    verifier = verifier_of(verifying)
    assert verifier is not None

    async def run(verifier: Verifier) -> None:
        secret = Secret(KNOWN_PASSWORD)
        assert await searching.find(Query("alice")) is not None
        assert await verifier.verify(Query("alice"), secret) is not None
        server.stop()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await searching.find(Query("alice"))
            with pytest.raises(Unavailable):
                await verifier.verify(Query("alice"), secret)
        await asyncio.to_thread(server.start)
        found: list[Any] = []

        async def again() -> None:
            while len(found) < 2:
                try:
                    found.append(await searching.find(Query("alice")))
                    found.append(await verifier.verify(Query("alice"), secret))
                except Unavailable:
                    found.clear()
                    await nothing_happens(0.02)

        task = asyncio.ensure_future(again())
        await until(task.done, "found again", 20)
        assert found[1].outcome is Outcome.OK

    asyncio.run(run(verifier))


def test_a_server_that_restarts_between_two_questions_is_not_noticed(server: Slapd, branch: str) -> None:
    driver = passdb(branch, fields=FIELDS)
    assert find(driver, "alice") is not None
    server.stop()
    server.start()
    assert find(driver, "alice") is not None


def test_a_frozen_server_is_a_temporary_failure_and_the_loop_turns(server: Slapd, branch: str) -> None:
    driver = passdb(branch, fields=FIELDS, ldap_request_timeout_msecs=1000)
    assert find(driver, "alice") is not None
    server.pause(True)
    try:

        async def run() -> int:
            task = asyncio.ensure_future(driver.find(Query("alice")))
            turns = 0
            while not task.done():
                await nothing_happens(0.005)
                turns += 1
            with pytest.raises(Unavailable):
                task.result()
            return turns

        assert asyncio.run(run()) > 10
    finally:
        server.pause(False)


def test_of_several_servers_one_that_answers_is_asked(branch: str) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        uris = f"ldap://127.0.0.1:{dead.getsockname()[1]} {directory().uri}"
        assert find(passdb(branch, fields=FIELDS, ldap_uris=uris), "alice") is not None


def test_no_secret_is_on_the_log(branch: str, tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        context = DriverContext(
            Log("auth: ", Sink(log.fileno(), debug=True)), driver_context().offload, driver_context().exists
        )
        with pytest.raises(Unavailable, match="invalidCredentials") as caught:
            find(passdb(branch, fields=FIELDS, context=context, ldap_auth_dn_password="wrong-secret"), "alice")
        assert verify(binding(branch, context=context), "alice", b"mistyped-secret") is Outcome.MISMATCH
    text = (tmp_path / "log").read_text() + repr(caught.value)
    assert "invalidCredentials" in text
    assert not any(secret in text for secret in ("wrong-secret", PASSWORD, "mistyped-secret", "alice-secret"))


def test_a_long_list_comes_in_pages(branch: str) -> None:
    made = directory().branch()
    with directory().connected() as one:
        for number in range(120):
            fields = {"sn": "x", "uid": f"u{number}", "uidNumber": 1, "gidNumber": 1, "homeDirectory": "/"}
            assert one.add(f"cn=n{number},{made}", list(PERSON), fields)
    driver = userdb(made, ldap_page_size=50)

    async def names(stop: int) -> list[str]:
        found: list[str] = []
        listing = driver.iterate()
        assert listing is not None
        async for name in listing:
            found.append(name)
            if len(found) == stop:
                break
        return found

    assert len(asyncio.run(names(10))) == 10
    assert sorted(asyncio.run(names(1000))) == sorted(f"u{number}" for number in range(120))
    assert userdb(made, ldap_base="dc=%{domain},dc=org").iterate() is None
    assert userdb(made, ldap_iterate_filter="").iterate() is None


@pytest.mark.parametrize("name", ["alice", "mallory"])
def test_whether_somebody_exists_costs_the_same_questions(branch: str, name: str, monkeypatch: Any) -> None:
    """A search and a bind with the given password."""
    asked: list[str] = []
    search, bind = Connection.search, Connection.bind

    def counted_search(self: Connection, *arguments: Any) -> Any:
        asked.append("search")
        return search(self, *arguments)

    def counted_bind(self: Connection, dn: str, password: bytes) -> tuple[int, str]:
        if password == b"wrong":
            assert dn.endswith("," + branch)
            asked.append("bind")
        return bind(self, dn, password)

    monkeypatch.setattr(Connection, "search", counted_search)
    monkeypatch.setattr(Connection, "bind", counted_bind)
    outcome = verify(binding(branch), name, b"wrong")
    assert outcome in ((Outcome.MISMATCH,) if name == "alice" else (None, Outcome.UNKNOWN))
    assert asked == ["search", "bind"]
