"""dns_client objects of scripts: results, failures with text and code, and the resolver behind them."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from kit.lua import Lines, run, text

from roost.clients.resolver import Resolver
from roost.lua.api import dns
from roost.lua.script import LuaFailure


class Door:
    async def resolve(self, host: str) -> list[str]:
        await asyncio.sleep(0)
        if host == "nobody":
            raise dns.DnsFailure("Unknown host", -2)
        if host == "broken":
            raise dns.DnsFailure("Failed to connect to /run/dns: No such file or directory", 1)
        return ["192.0.2.1", "2001:db8::1"]


def call(source: str) -> tuple[Any, ...]:
    async def whole() -> tuple[Any, ...]:
        script = text(f"function test(client)\n{source}\nend", Lines(), (dns.family(Door()),))
        await script.start()
        try:
            return await script.call("test", dns.push(script, Door()))
        finally:
            await script.close()

    return run(whole())


def test_addresses_are_one_array() -> None:
    source = 'local r = table.pack(client:lookup("host")); return r.n, #r[1], r[1][1], r[1][2]'
    assert call(source) == (1, 2, "192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("host", "error", "code"),
    [("nobody", "Unknown host", -2), ("broken", "Failed to connect to /run/dns: No such file or directory", 1)],
)
def test_failures_are_returned_and_not_raised(host: str, error: str, code: int) -> None:
    assert call(f'return client:lookup("{host}")') == (None, error, code)


def test_scripts_make_their_own_client() -> None:
    assert call('return dovecot.dns.client():lookup("host")[1]') == ("192.0.2.1",)


def test_an_event_may_be_given() -> None:
    assert call('return client:lookup("host", dovecot.event())[1]') == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("client:lookup()", "expected 2 to 3 arguments, got 1"),
        ("client:lookup({})", "bad argument #1 to 'lookup' (string expected, got table)"),
        ("client.lookup({}, 'x')", "Bad argument #1, expected struct dns_client got table"),
    ],
)
def test_wrong_use_is_raised(source: str, error: str) -> None:
    with pytest.raises(LuaFailure) as caught:
        call(source)
    assert caught.value.reason.endswith(error), caught.value.reason


def failure(resolver: Resolver, host: str) -> tuple[str, int]:
    async def whole() -> tuple[str, int]:
        with pytest.raises(dns.DnsFailure) as caught:
            await resolver.resolve(host)
        return str(caught.value), caught.value.code

    return run(whole())


def test_the_resolver_knows_literal_addresses() -> None:
    async def whole() -> list[list[str]]:
        one = Resolver()
        try:
            return [await one.resolve(host) for host in ("127.0.0.1", "::1")]
        finally:
            one.close()

    assert run(whole()) == [["127.0.0.1"], ["::1"]]


@pytest.mark.parametrize("host", ["", "a" * 300, "a\nb", "a" * 64 + ".example", "no such host.invalid"])
def test_what_is_no_name_is_not_found(host: str) -> None:
    said, code = failure(Resolver(), host)
    assert said and code != 0


def test_a_slow_resolver_is_given_up_and_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go.wait(30) and [])
    one = Resolver(timeout_secs=0.01, threads=1, waiting=1)
    assert failure(one, "a") == ("DNS lookup timed out in 0.010 secs", socket.EAI_AGAIN)
    assert failure(one, "b") == ("DNS lookup timed out in 0.010 secs", socket.EAI_AGAIN)
    assert failure(one, "c")[1] == socket.EAI_AGAIN
    go.set()
    one.close()
