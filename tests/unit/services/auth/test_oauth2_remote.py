"""Tokens verified by asking: tokeninfo, introspection, the password grant; and servers that answer oddly."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from kit.http_server import HttpServer, Seen, in_pieces, reply

from roost.auth.api import TOKEN_FAILURE, Entry, Outcome, Query
from roost.errors import Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.testing.passdb import driver_context
from roost.util.secret import Secret
from services.auth.passdb.oauth2 import Oauth2

USER = "alice@example.org"
TOKEN = "ya29.a-b_c~d+e/f=="
QUERY = Query(
    USER, {"service": "imap", "lip": "192.0.2.1", "lport": "143", "rip": "2001:db8::1", "rport": "9"}, "xoauth2"
)


def told(**members: object) -> bytes:
    return reply(200, json.dumps({"email": USER, **members}).encode(), {"Content-Type": "application/json"})


def run(
    answer: Callable[[Seen], Any],
    settings: Callable[[str], dict[str, Any]],
    work: Callable[[Oauth2, HttpServer], Awaitable[None]],
) -> None:
    async def all_of_it() -> None:
        async with HttpServer(answer) as server:
            made = PassdbSettings(name="oauth2", http_max_parallel_connections=10, **settings(server.url))
            driver = Oauth2(made, driver_context())
            try:
                await work(driver, server)
            finally:
                await driver.close()

    asyncio.run(all_of_it())


def ask(
    answer: Callable[[Seen], Any] | bytes, token: str = TOKEN, *, query: Query = QUERY, **settings: Any
) -> tuple[Entry, list[Seen]]:
    """One verification by introspection (mode auth), or as ``settings`` say (``{url}`` is the server's)."""
    found: list[Any] = []
    settings = settings or {"oauth2_introspection_url": "{url}/me", "oauth2_introspection_mode": "auth"}

    async def work(driver: Oauth2, server: HttpServer) -> None:
        found.append(await driver.verify_token(query, Secret(token.encode())))
        found.append(server.requests)

    def with_url(url: str) -> dict[str, Any]:
        return {key: one.replace("{url}", url) if isinstance(one, str) else one for key, one in settings.items()}

    run(answer if callable(answer) else lambda seen: answer, with_url, work)
    entry: Entry = found[0]
    assert TOKEN not in entry.reason and TOKEN not in repr(entry)
    return entry, found[1]


def test_each_way_to_send_a_token() -> None:
    entry, (seen,) = ask(told())
    assert entry.outcome is Outcome.OK
    assert (seen.method, seen.target, seen.headers["authorization"]) == ("GET", "/me", f"Bearer {TOKEN}")
    entry, (seen,) = ask(told(), oauth2_introspection_url="{url}/i?token=", oauth2_introspection_mode="get")
    assert entry.outcome is Outcome.OK
    assert (seen.method, seen.target) == ("GET", "/i?token=ya29.a-b_c~d%2Be%2Ff%3D%3D")
    entry, (seen,) = ask(told(active=True), oauth2_introspection_url="{url}/i", oauth2_introspection_mode="post")
    assert entry.outcome is Outcome.OK
    assert (seen.method, parse_qs(seen.body.decode())["token"]) == ("POST", [TOKEN])
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    entry, (seen,) = ask(told(), oauth2_tokeninfo_url="{url}/t?access_token=")
    assert entry.outcome is Outcome.OK
    assert seen.target == "/t?access_token=ya29.a-b_c~d%2Be%2Ff%3D%3D"
    assert "authorization" not in seen.headers


def test_who_we_are() -> None:
    us = {"oauth2_client_id": "mail", "oauth2_client_secret": "s&t", "oauth2_introspection_mode": "post"}
    _, (seen,) = ask(told(), oauth2_introspection_url="{url}/i", **us)
    form = parse_qs(seen.body.decode())
    assert (form["client_id"], form["client_secret"]) == (["mail"], ["s&t"])

    def in_url(url: str) -> dict[str, Any]:
        return {"oauth2_introspection_url": url.replace("://", "://me:p%40ss@") + "/i", **us}

    async def work(driver: Oauth2, server: HttpServer) -> None:
        await driver.verify_token(QUERY, Secret(TOKEN.encode()))
        (seen,) = server.requests
        assert seen.headers["authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
        assert "client_secret" not in parse_qs(seen.body.decode())

    run(lambda seen: told(), in_url, work)


def test_what_the_server_is_told_of_the_client() -> None:
    url = {"oauth2_tokeninfo_url": "{url}/t?x="}
    _, (seen,) = ask(told(), **url)
    assert not [name for name in seen.headers if name.startswith("x-dovecot")]
    _, (seen,) = ask(told(), oauth2_send_auth_headers=True, **url)
    assert seen.headers["x-dovecot-auth-protocol"] == "imap"
    assert seen.headers["x-dovecot-auth-local"] == "192.0.2.1:143"
    assert seen.headers["x-dovecot-auth-remote"] == "[2001:db8::1]:9"
    odd = Query(USER, {"service": "imap", "rip": "1\r\nX-Evil: 1", "lip": "ä"}, "xoauth2")
    _, (seen,) = ask(told(), query=odd, oauth2_send_auth_headers=True, **url)
    assert not [name for name in seen.headers if name in ("x-evil", "x-dovecot-auth-remote", "x-dovecot-auth-local")]


REFUSED = [
    told(error="invalid_token"),
    told(error=""),
    told(active=False),
    told(email=None),
    told(email="bob@example.org"),
    told(email=[USER]),
    told(exp=int(time.time()) - 500),
    told(exp="never"),
    told(expires_in=-100),
    reply(200, b"{}"),
    reply(400, b'{"error":"invalid_request"}'),
    reply(401, b'{"error":"invalid_token"}'),
    reply(401, b""),
    reply(403, b'{"a":1}'),
    reply(404, json.dumps({"email": USER}).encode()),
]
NO_VERDICT = [
    None,
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"garbage\r\n\r\n",
    reply(200, b""),
    reply(200, b"<html>"),
    reply(200, b"[1]"),
    reply(200, b'"x"'),
    reply(200, b"\xff\xfe{}"),
    reply(200, b'{"email":"a","email":"b"}'),
    reply(200, b'{"n":NaN}'),
    reply(200, b'{"n":' + b"9" * 5000 + b"}"),
    reply(200, b"[" * 100_000),
    reply(200, b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    reply(200, json.dumps({f"a{number}": 1 for number in range(2000)}).encode()),
    reply(200, b'{"email":"' + b"x" * 300_000 + b'"}'),
    reply(302, b"", {"Location": "http://127.0.0.1:1/"}),
    reply(400, b"<html>"),
    reply(401, b'{"error":"invalid_client"}'),
    reply(429, b'{"error":"invalid_token"}'),
    reply(500, b'{"error":"invalid_token"}'),
    reply(503, b""),
]


@pytest.mark.parametrize("answer", REFUSED, ids=range(len(REFUSED)))
def test_answers_that_refuse_a_token(answer: bytes) -> None:
    entry, _ = ask(answer)
    assert entry.outcome is Outcome.MISMATCH
    assert entry.reason


@pytest.mark.parametrize("answer", NO_VERDICT, ids=range(len(NO_VERDICT)))
def test_answers_that_are_no_verdict(answer: bytes | None) -> None:
    with pytest.raises(Unavailable) as caught:
        ask(
            lambda seen: answer,
            http_response_body_max_octets=256 << 10,
            http_request_timeout_msecs=300,
            oauth2_introspection_url="{url}/me",
            oauth2_introspection_mode="auth",
        )
    assert TOKEN not in caught.value.detail
    assert "introspection: " in caught.value.detail


def test_a_slow_server_and_one_that_is_not_there() -> None:
    async def never(seen: Seen) -> Any:
        await asyncio.Event().wait()
        yield b""

    slow = {"oauth2_tokeninfo_url": "{url}/t?x=", "http_request_timeout_msecs": 50}
    with pytest.raises(Unavailable):
        ask(never, **slow)
    with pytest.raises(Unavailable):
        ask(told(), oauth2_tokeninfo_url="http://127.0.0.1:1/t?x=")


def test_an_answer_in_single_octets() -> None:
    entry, _ = ask(lambda seen: in_pieces(told()))
    assert entry.outcome is Outcome.OK


def test_tokeninfo_then_introspection_when_needed() -> None:
    both = {
        "oauth2_tokeninfo_url": "{url}/t?x=",
        "oauth2_introspection_url": "{url}/me",
        "oauth2_introspection_mode": "auth",
    }

    def answer(seen: Seen) -> bytes:
        return told(a=1) if seen.target.startswith("/t") else told(a=2, b=3)

    entry, seen = ask(answer, **both)
    assert [one.target[:2] for one in seen] == ["/t"]
    entry, seen = ask(answer, oauth2_force_introspection=True, oauth2_fields={"x": "%{oauth2:a}%{oauth2:b}"}, **both)
    assert [one.target[:2] for one in seen] == ["/t", "/m"]
    assert entry.fields == {"x": "23"}
    entry, seen = ask(lambda one: reply(200, b"{}") if one.target.startswith("/t") else told(), **both)
    assert (entry.outcome, len(seen)) == (Outcome.OK, 2)
    entry, seen = ask(lambda one: reply(401, b"{}") if one.target.startswith("/t") else told(), **both)
    assert (entry.outcome, len(seen)) == (Outcome.MISMATCH, 1)


def test_scope_issuer_and_account() -> None:
    url = {"oauth2_tokeninfo_url": "{url}/t?x="}
    entry, _ = ask(told(scope="a b"), oauth2_scope=("a", "c"), **url)
    assert entry.fields == {TOKEN_FAILURE: "insufficient_scope"}
    assert ask(told(scope="a b c"), oauth2_scope=("a", "c"), **url)[0].outcome is Outcome.OK
    assert ask(told(iss="x"), oauth2_issuers=("y",), **url)[0].outcome is Outcome.MISMATCH
    active = {"oauth2_active_attribute": "active", "oauth2_active_value": "true"}
    assert ask(told(active=True), **active, **url)[0].outcome is Outcome.OK
    assert ask(told(), **active, **url)[0].outcome is Outcome.DISABLED
    assert ask(told(active="no"), **active, **url)[0].outcome is Outcome.DISABLED


def grant(answer: Callable[[Seen], Any], password: bytes, **settings: Any) -> tuple[Entry, list[Seen]]:
    found: list[Any] = []

    async def work(driver: Oauth2, server: HttpServer) -> None:
        found.append(await driver.verify(Query(USER, {}, "plain"), Secret(password)))
        found.append(server.requests)

    run(
        answer, lambda url: {"oauth2_grant_url": url + "/grant", **{k: _url(v, url) for k, v in settings.items()}}, work
    )
    assert found[0] is not None
    return found[0], found[1]


def _url(value: Any, url: str) -> Any:
    return value.replace("{url}", url) if isinstance(value, str) else value


def test_a_password_grant() -> None:
    us = {"oauth2_client_id": "mail", "oauth2_client_secret": "secret", "oauth2_scope": ("mail",)}
    password = "pä&ss=wörd+ %00".encode()
    entry, (seen,) = grant(lambda seen: reply(200, b'{"access_token":"abc","token_type":"bearer"}'), password, **us)
    assert entry.outcome is Outcome.OK
    form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
    assert form.pop("password").encode() == password
    assert form == {
        "grant_type": "password",
        "username": USER,
        "client_id": "mail",
        "client_secret": "secret",
        "scope": "mail",
    }
    assert grant(lambda seen: reply(400, b'{"error":"invalid_grant"}'), b"x")[0].outcome is Outcome.MISMATCH
    for odd in (b"{}", b'{"access_token":["a"]}', b"x"):
        with pytest.raises(Unavailable):
            grant(lambda seen, odd=odd: reply(200, odd), b"x")
    granted = reply(200, json.dumps({"access_token": "abc", "email": "bob@example.org"}).encode())
    assert grant(lambda seen: granted, b"x")[0].outcome is Outcome.MISMATCH


def test_a_granted_token_is_verified_where_that_is_configured() -> None:
    def answer(seen: Seen) -> bytes:
        if seen.target == "/grant":
            return reply(200, b'{"access_token":"abc"}')
        assert seen.headers["authorization"] == "Bearer abc"
        return told()

    me = {"oauth2_introspection_url": "{url}/me", "oauth2_introspection_mode": "auth"}
    entry, seen = grant(answer, b"x", **me)
    assert (entry.outcome, len(seen)) == (Outcome.OK, 2)
    other = grant(lambda one: answer(one) if one.target == "/grant" else told(email="bob@example.org"), b"x", **me)
    assert other[0].outcome is Outcome.MISMATCH


def test_a_token_in_the_place_of_a_password() -> None:
    async def work(driver: Oauth2, server: HttpServer) -> None:
        entry = await driver.verify(Query(USER, {}, "plain"), Secret(TOKEN.encode()))
        assert entry is not None and entry.outcome is Outcome.OK
        for odd in (b"a password", "pässword".encode(), b"x" * 10_000, b"a\r\nb"):
            entry = await driver.verify(Query(USER, {}, "plain"), Secret(odd))
            assert entry is not None and entry.outcome is Outcome.MISMATCH
        assert len(server.requests) == 1
        found = await driver.find(Query(USER))
        assert found is not None and found.outcome is Outcome.SCHEME_NOT_AVAILABLE

    run(lambda seen: told(), lambda url: {"oauth2_tokeninfo_url": url + "/t?x="}, work)


def test_tokens_are_not_verified_by_a_grant() -> None:
    entry, seen = ask(told(), oauth2_grant_url="{url}/grant")
    assert (entry.outcome, seen) == (Outcome.MISMATCH, [])


def test_what_may_be_cached() -> None:
    context = driver_context()
    granting = Oauth2(PassdbSettings(oauth2_grant_url="http://x/", oauth2_fields={"a": "%{remote_ip}"}), context)
    assert granting.variables == {"user", "remote_ip"}
    asking = Oauth2(PassdbSettings(oauth2_grant_url="http://x/", oauth2_tokeninfo_url="http://x/"), context)
    assert asking.variables is None


def test_two_hundred_at_once_by_ten_connections() -> None:
    def answer(seen: Seen) -> bytes:
        number = seen.headers["authorization"].rpartition(".")[2]
        return told(email=f"user{number}@example.org")

    async def work(driver: Oauth2, server: HttpServer) -> None:
        async def one(number: int) -> None:
            right, wrong = Query(f"user{number}@example.org"), Query(f"user{number + 1}@example.org")
            token = Secret(f"token.{number}".encode())
            first = await driver.verify_token(right, token)
            second = await driver.verify_token(wrong, token)
            assert first is not None and first.outcome is Outcome.OK
            assert second is not None and second.outcome is Outcome.MISMATCH

        await asyncio.gather(*(one(number) for number in range(200)))
        assert len(server.requests) == 400
        assert server.most_open <= 10

    me = {"oauth2_introspection_mode": "auth"}
    run(answer, lambda url: {"oauth2_introspection_url": url + "/me", **me}, work)
