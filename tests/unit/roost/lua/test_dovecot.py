"""The base functions, by the texts and values of Dovecot's own tests and manual."""

from __future__ import annotations

from typing import Any

import pytest
from kit.lua import Lines, load, run

from roost.lua.script import LuaFailure


def call(function: str, lines: Lines | None = None, **settings: Any) -> tuple[Any, ...]:
    async def whole() -> tuple[Any, ...]:
        script = load("base", lines or Lines(), **settings)
        await script.start()
        try:
            return await script.call(function)
        finally:
            await script.close()

    return run(whole())


def reason(function: str, **settings: Any) -> str:
    with pytest.raises(LuaFailure) as caught:
        call(function, **settings)
    return caught.value.reason


def test_flags() -> None:
    assert call("flags") == (False, True, 18, 30)


def test_flags_take_numeric_strings() -> None:
    assert call("numeric_strings") == (True,)


def test_base64() -> None:
    assert call("base64") == ("dGVzdCB2YWx1ZQ==", "test value")


def test_base64_is_binary_safe_and_never_raises() -> None:
    assert call("base64_binary") == (True, "tes")


def test_tab_escaping() -> None:
    escaped, unescaped, cut, fields = call("tabs")
    assert escaped == "a\x011b\x01tc\x01rd\x01ne"
    assert unescaped == "a\x01b\tc\rd\nex"
    assert cut == "cut"
    assert list(fields.values()) == ["one", "two\t", "", "four"]


def test_ip_families() -> None:
    assert call("ips") == (4, 6, 0, 0)


def test_clocks_are_integers() -> None:
    assert call("clocks")[:4] == ("integer",) * 4
    assert call("clocks")[4] in (0, 1)


def test_var_expand() -> None:
    assert call("expand") == ("X--%{n}",)


def test_var_expand_failure() -> None:
    assert reason("expand_bad").startswith("failed to expand '%{nosuch}': ")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("no_arguments", "expected 1 arguments, got 0"),
        ("many_arguments", "expected 2 arguments, got 3"),
        ("restrict_count", "expected 1 arguments, got 0"),
    ],
)
def test_argument_counts_carry_no_position(function: str, text: str) -> None:
    assert reason(function) == text


def test_argument_types_carry_the_script_s_position() -> None:
    assert "base.lua:" in reason("not_a_string")
    assert reason("not_a_string").endswith("bad argument #1 to 'i_info' (string expected, got table)")
    assert reason("a_fraction").endswith("bad argument #1 to 'has_flag' (number has no integer representation)")


def test_log_functions() -> None:
    lines = Lines(debug=True)
    call("logs", lines)
    assert lines.seen == [
        ("D", "test: d"),
        ("I", "test: i"),
        ("W", "test: w"),
        ("E", "test: e"),
        ("I", "test: 12"),
    ]


def test_debug_lines_need_debug() -> None:
    lines = Lines()
    call("logs", lines)
    assert [level for level, _ in lines.seen] == ["I", "W", "E", "I"]


def test_functions_live_in_the_metatable() -> None:
    shown, mine, kind = call("shadow")
    assert (mine, kind) == (1, "function")
    assert shown.split() == ["base64", "doveadm_client", "mine"]


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_restricted_globals(trust: str) -> None:
    assert reason("restrict_write", lua_trust=trust).endswith("attempt to write to undeclared global variable fresh")
    assert reason("restrict_read", lua_trust=trust).endswith(
        "attempt to write to read undeclared global variable fresh"
    )
    assert reason("restrict_nil", lua_trust=trust).endswith("attempt to write to undeclared global variable fresh")
    assert call("restrict_function", lua_trust=trust) == (7,)
    assert call("restrict_off", lua_trust=trust) == (1,)
