"""Built-in modules, require and lua_path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.lua import Lines, load, run, text

from roost.lua.script import LuaFailure


def call(function: str, *values: Any, **given_settings: Any) -> tuple[Any, ...]:
    async def whole() -> tuple[Any, ...]:
        script = load("modules", Lines(), **given_settings)
        await script.start()
        try:
            return await script.call(function, *values)
        finally:
            await script.close()

    return run(whole())


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_they_are_there(trust: str) -> None:
    assert call("same", lua_trust=trust) == (True, "function", "function")
    assert call("twice", lua_trust=trust) == (True, True)


def test_json_types() -> None:
    assert call("types") == ("integer", "float", "float", None, True, 2, True, 9007199254740993, "null")


def test_json_arrays_and_objects() -> None:
    assert call("empty") == ("{}", "[]", "[]")
    assert call("mixed") == ('{"1":1,"2":2,"4":4}', '{"3":"x"}')


def test_json_refuses_values() -> None:
    (told,) = call("bad_values")
    assert list(told.values()) == [
        "false json: a table contains itself",
        "false json: a function cannot be encoded",
        "false json: nan is no JSON number",
        "false json: inf is no JSON number",
        "false json: a table cannot be a key",
    ]


@pytest.mark.parametrize(
    "bad",
    [
        *("", "{", "[1,", '{"a":}', "[1 2]", "01", "1.", ".5", "+1", "nul", "tru", "'x'", '"\\x"', '"a', '"\\u12"'),
        *("1 2", "[" * 300, '"\n"', "-", "{1:2}", "[1,]", '{"a":1,}'),
    ],
)
def test_json_refuses_text(bad: str) -> None:
    assert call("bad_text", bad) == (False, "string")


JSON = st.recursive(
    st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner, min_size=1),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_json_round_trip(value: Any) -> None:
    again = json.loads(ROUND(json.dumps(value)))
    assert again == value


def _round() -> Any:
    script = load("modules", Lines())
    run(script.start())

    def once(source: str) -> str:
        (made,) = run(script.call("round", source))
        return str(made)

    return once


ROUND = _round()


def test_base64() -> None:
    assert call("b64") == ("dGVzdCB2YWx1ZQ==", "test value")


def test_socket_url() -> None:
    assert call("urls") == (
        "a%20b%2f%c3%bc", "a b/", "https", "example.org", "8443", "/a", "q=1", "frag", "user", "pw", "p",
    )  # fmt: skip


def test_missing_module() -> None:
    with pytest.raises(LuaFailure) as caught:
        call("missing", lua_trust="restricted")
    assert "modules.lua:34: module 'no.such.module' not found:\n\tno field package.preload" in caught.value.reason


@pytest.mark.parametrize("trust", ["full", "restricted"])
def test_lua_path(tmp_path: Path, trust: str) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "init.lua").write_text("local name = ... return { name = name, sub = require 'site.sub' }")
    (tmp_path / "site" / "sub.lua").write_text("counter = (counter or 0) + 1 return test.op('loaded')")

    async def op(value: str) -> str:
        return f"<{value}>"

    async def whole() -> tuple[Any, ...]:
        script = text(
            "function f() return require('site').name, require('site').sub, counter end", Lines(),
            lua_path=str(tmp_path), lua_trust=trust,
        )  # fmt: skip
        script.register("test", {"op": op})
        await script.start()
        return await script.call("f")

    assert run(whole()) == ("site", "<loaded>", 1)


def test_a_broken_module_says_where(tmp_path: Path) -> None:
    (tmp_path / "broken.lua").write_text("x = = 1")

    async def whole() -> None:
        script = text("require 'broken'", Lines(), lua_path=str(tmp_path))
        await script.start()

    with pytest.raises(LuaFailure, match="error loading module 'broken' from file"):
        run(whole())


@pytest.mark.parametrize("name", ["../secret", "..secret", "/etc/passwd", "a/b"])
def test_restricted_names_of_modules(tmp_path: Path, name: str) -> None:
    async def whole() -> None:
        script = text(f"require({json.dumps(name)})", Lines(), lua_trust="restricted", lua_path=str(tmp_path))
        await script.start()

    with pytest.raises(LuaFailure, match="not a module name"):
        run(whole())
