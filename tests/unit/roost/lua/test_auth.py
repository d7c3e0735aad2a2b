"""``dovecot.auth`` and the request object."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit.lua import Lines, load, run

from roost.events.event import Event
from roost.events.log import Log
from roost.lua.api import auth
from roost.lua.api.auth import AuthRequest, call_auth, members, push_request
from roost.lua.script import LuaFailure

VARIABLES: dict[str, str | None] = {
    "user": "anna@mail@example.org",
    "protocol": "imap",
    "remote_ip": "192.0.2.7",
    "local_ip": "192.0.2.1",
    "real_remote_ip": "198.51.100.9",
    "remote_port": "4711",
    "mechanism": "PLAIN",
    "original_user": "Anna@example.org",
    "auth_user": "anna@example.org",
    "client_pid": "77",
    "password": "pässword",
    "login_user": None,
}


async def verify(crypted: bytes, plain: bytes) -> tuple[int, str | None]:
    return (1, None) if crypted == b"{PLAIN}" + plain else (0, "Password mismatch")


def request(lines: Lines) -> AuthRequest:
    return AuthRequest(
        members(VARIABLES),
        Event(log=Log("auth: ", lines)),
        verify,
        passdb={"quota": "1G", "bare": ""},
        userdb={"home": "/h"},
        flags={"passdbs_seen_user_unknown": True},
    )


def call(function: str, *more: str, lines: Lines | None = None, **settings: Any) -> tuple[Any, ...]:
    seen = lines or Lines()

    async def whole() -> tuple[Any, ...]:
        script = load("auth", seen, (auth.make,), **settings)
        await script.start()
        try:
            return await script.call(function, push_request(script, request(seen)), *more)
        finally:
            await script.close()

    return run(whole())


def reason(function: str, **settings: Any) -> str:
    with pytest.raises(LuaFailure) as caught:
        call(function, **settings)
    return caught.value.reason


def test_constants_are_integers() -> None:
    assert call("constants") == (1, 0, -1, -2, -3, -4, -5, -6, 1, -2, -1, "integer")


def test_members() -> None:
    assert call("members") == (
        "anna@mail@example.org",
        "imap",
        "192.0.2.7",
        "4711",
        "pässword",
        None,
        "mail@example.org",
        "example.org",
        "anna@mail@example.org",
    )


OLD = (
    "anna",
    "mail@example.org",
    "imap",
    "192.0.2.7",
    "192.0.2.1",
    "PLAIN",
    "Anna@example.org",
    "Anna",
    None,
    "example.org",
    "77",
    "198.51.100.9",
)


def test_members_of_2_3() -> None:
    assert call("old_members", lua_compat="2.3") == OLD


def test_lenient_warns_once_for_each() -> None:
    lines = Lines()

    async def whole() -> None:
        script = load("auth", lines, (auth.make,))
        await script.start()
        for _ in range(3):
            await call_auth(script, "old_members", request(lines))
        await script.close()

    run(whole())
    warnings = [line for level, line in lines.seen if level == "W"]
    assert len(warnings) == len(OLD)
    assert sum("'rip' is now called 'remote_ip'" in line for line in warnings) == 1


def test_strict_has_no_old_members() -> None:
    assert call("old_members", lua_compat="2.4") == (None,) * len(OLD)


def test_fields_said_so_far() -> None:
    assert call("fields") == ("1G", "yes", None, "/h")
    assert call("fields_are_read_only") == ("|1G",)


def test_flags() -> None:
    assert call("flags") == (False, True, False, False)


def test_what_pairs_shows() -> None:
    names = "item passdb passdbs_seen_internal_failure passdbs_seen_user_unknown skip_password_check userdb"
    assert call("shown") == (names + " userdbs_seen_internal_failure", "table")


def test_scripts_may_add_keys() -> None:
    assert call("own_keys") == (1, "other", "anna@mail@example.org")


def test_log_lines() -> None:
    lines = Lines(debug=True)
    call("logs", lines=lines)
    assert lines.seen == [
        ("D", "auth: db-lua: d"),
        ("I", "auth: db-lua: i"),
        ("W", "auth: db-lua: w"),
        ("E", "auth: db-lua: e"),
    ]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("log_with_a_point", "Bad argument #1, expected auth_request got string"),
        ("log_without_text", "expected 2 arguments, got 1"),
        ("verify_nil", "Crypted password must not be nil"),
        ("verify_nil_both", "Plain password must not be nil"),
        ("verify_nil_plain", "expected 3 arguments, got 2"),
    ],
)
def test_misuse(function: str, text: str) -> None:
    assert reason(function) == text


def test_var_expand() -> None:
    assert call("expand") == ("ANNA@MAIL@EXAMPLE.ORG 1G !",)
    assert reason("expand_bad").startswith("var_expand(%{nosuch}) failed: ")


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_password_verify(trust: str) -> None:
    assert call("verify", lua_trust=trust) == (1, None)
    assert call("verify_wrong", lua_trust=trust) == (0, "Password mismatch")


def test_event() -> None:
    lines = Lines()
    call("event", lines=lines)
    assert lines.seen == [("I", "auth: from event")]


def test_response_from_template() -> None:
    assert call("template", lua_compat="2.3") == ({"home": "/mail/anna@mail@example.org", "nologin": ""},)
    assert "nil value" in reason("template", lua_compat="2.4")


def test_the_object_dies_with_the_call() -> None:
    lines = Lines()

    async def whole() -> None:
        script = load("auth", lines, (auth.make,))
        await script.start()
        await call_auth(script, "keep", request(lines))
        for function in ("use_kept", "use_kept_method"):
            with pytest.raises(LuaFailure) as caught:
                await script.call(function)
            assert caught.value.reason == "auth_request is no longer valid"
        await script.close()

    run(whole())


@pytest.mark.parametrize("function", ["keep_and_wait", "keep_and_fail"])
def test_the_object_dies_with_a_call_that_is_dropped_or_fails(function: str) -> None:
    async def whole() -> None:
        waits, never = asyncio.Event(), asyncio.Event()

        async def endless(crypted: bytes, plain: bytes) -> tuple[int, str | None]:
            waits.set()
            await never.wait()
            return 1, None

        script = load("auth", Lines(), (auth.make,))
        await script.start()
        task = asyncio.ensure_future(
            call_auth(script, function, AuthRequest(members(VARIABLES), Event(log=Log("auth: ", Lines())), endless))
        )
        if function == "keep_and_wait":
            await waits.wait()
            task.cancel()
        with pytest.raises((asyncio.CancelledError, LuaFailure)):
            await task
        assert script.running == 0
        for use in ("use_kept", "use_kept_method"):
            with pytest.raises(LuaFailure) as caught:
                await script.call(use)
            assert caught.value.reason == "auth_request is no longer valid"
        await script.close()

    run(whole())


def test_call_auth_gives_two_results() -> None:
    async def whole() -> Any:
        script = load("auth", Lines(), (auth.make,))
        await script.start()
        assert await call_auth(script, "keep", request(Lines())) == (None, None)
        return await call_auth(script, "with_password", request(Lines()), "geheim")

    assert run(whole()) == ("geheim", "anna@mail@example.org")


def test_the_repr_holds_no_secret() -> None:
    assert "pässword" not in repr(request(Lines()))
