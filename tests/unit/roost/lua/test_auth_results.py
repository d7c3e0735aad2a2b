"""What hooks return: results, fields, users, cache keys."""

from __future__ import annotations

from typing import Any

import pytest

from roost.errors import ConfigError
from roost.lua.api.auth_results import Verdict, cache_key, convert_fields, judge, users
from roost.lua.values import Opaque

FN = "auth_passdb_lookup"


def lenient(code: Any, value: Any = None, kind: str = "passdb") -> Verdict:
    return judge(FN, kind, code, value, strict=False)


def strict(code: Any, value: Any = None, kind: str = "passdb") -> Verdict:
    return judge(FN, kind, code, value, strict=True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(None, "nil"), ({}, "table"), (True, "boolean"), ("x", "string"), (Opaque("function"), "function")],
)
def test_a_code_that_is_no_number(code: Any, kind: str) -> None:
    for judged in (strict(code), lenient(code)):
        assert judged.code == -1
        assert judged.message == f"db-lua: {FN}(req) invalid return value (expected number got {kind})"


@pytest.mark.parametrize("code", [1, 1.0, "1", "1.0"])
def test_numbers_in_any_form(code: Any) -> None:
    assert strict(code, {}).code == 1


def test_a_code_that_means_nothing() -> None:
    assert strict(99).code == -1
    assert strict(-3, kind="userdb").code == -1


def test_ok() -> None:
    assert strict(1) == Verdict(1)
    assert strict(1, {}) == Verdict(1)
    assert strict(1, {"password": "pass"}) == Verdict(1, "pass")
    assert strict(1, {"nopassword": True, "uid": 5.0}) == Verdict(1, None, {"nopassword": "yes", "uid": "5"})


def test_ok_with_a_string() -> None:
    told = strict(1, "")
    assert (told.code, told.message) == (
        -1,
        f"db-lua: {FN}(req) invalid return value (expected nil or table, got string)",
    )
    assert lenient(1, "").code == 1 and lenient(1, "").fields == {}
    judged = lenient(1, "password=x=y nopassword  k=v")
    assert (judged.code, judged.password, judged.fields) == (1, "x=y", {"nopassword": "", "k": "v"})
    assert judged.old
    assert lenient(-6, "k=v").fields == {"k": "v"}


def test_failures() -> None:
    assert strict(0).message == "passdb failed"
    assert strict(-2, kind="userdb").message == "userdb failed"
    assert strict(-1, "backend is down").message == "backend is down"
    told = strict(0, {})
    assert (told.code, told.message) == (
        -1,
        "db-lua: invalid error return value (expected nil or string, got table)",
    )
    assert lenient(-3, {}).code == -3 and lenient(-3, {}).old


def test_field_names_that_cannot_be() -> None:
    """Dovecot's own test: three warnings, the password taken, nothing else stored."""
    judged = strict(1, {"": "a", "\t": "b", "\n": "c", "password": "pass"})
    assert judged.password == "pass" and judged.fields == {}
    assert len(judged.warnings) == 3 and all(line.startswith("db-lua: Field key") for line in judged.warnings)


def test_field_values() -> None:
    fields, warnings = convert_fields(
        {"zero": "01234", "half": 1.5, "five": 5.0, "no": False, 3: "three", "bad": {}, "f": Opaque("function")}
    )
    assert fields == {"zero": "01234", "half": "0", "five": "5", "no": "no", "3": "three"}
    assert len(warnings) == 2


def test_users() -> None:
    assert users({1: "a", "x": "b", 2: 7}) == ["a", "b", "7"]
    with pytest.raises(ValueError, match="db-lua: Cannot iterate, return value is not table"):
        users("a")
    with pytest.raises(ValueError, match="db-lua: Value is not string"):
        users({1: {}})


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("%{user}", ("user",)),
        ("%{user | upper}%{remote_ip}%{user}", ("remote_ip", "user")),
        ("%{passdb:k}%{userdb:x}%{env:HOME}%{user}", ("user", "passdb:k", "userdb:x")),
        ("%{concat(user, service)}", ("service", "user")),
    ],
)
def test_cache_keys(template: str, names: tuple[str, ...]) -> None:
    assert cache_key("f", template, strict=True) == names


def test_cache_keys_that_name_nothing() -> None:
    for template in ("", "text", "%{env:HOME}"):
        with pytest.raises(ConfigError, match="Cache key must contain at least one variable"):
            cache_key("f", template, strict=True)
    with pytest.raises(ConfigError, match=r"db-lua: f invalid return value \(expected string, got nil\)"):
        cache_key("f", None, strict=True)


def test_short_variables_of_2_3() -> None:
    assert cache_key("f", "%u%s", strict=False) == ("protocol", "user")
    with pytest.raises(ConfigError):
        cache_key("f", "%u", strict=True)
