"""Queries with variables become statements with parameters, and nothing of a value gets into the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.auth.api import Query
from roost.errors import ConfigError, Unavailable
from services.auth.sql.statement import PGSQL, SQLITE, Dialect, prepare

QUERY = Query("Alice@Example.org", {"rip": "192.0.2.1"}, "plain", "Alice", service="imap")


def made(template: str, dialect: Dialect = PGSQL) -> tuple[str, list[str] | None]:
    statement = prepare(template, dialect, "passdb_sql_query")
    return statement.text, statement.values(QUERY)


@pytest.mark.parametrize(
    ("template", "text", "values"),
    [
        ("SELECT 1", "SELECT 1", []),
        ("SELECT a FROM t WHERE u = '%{user}'", "SELECT a FROM t WHERE u = $1", ["Alice@Example.org"]),
        ("SELECT a FROM t WHERE u = %{user}", "SELECT a FROM t WHERE u = $1", ["Alice@Example.org"]),
        ("SELECT a WHERE u='%{username}' AND d='%{domain}';", "SELECT a WHERE u=$1 AND d=$2", ["Alice", "Example.org"]),
        ("SELECT 'u-%{user | lower}@x'", "SELECT $1", ["u-alice@example.org@x"]),
        ("SELECT 'it''s %{username}'", "SELECT $1", ["it's Alice"]),
        ("SELECT 'a', '%{service}%{username}', 'b''c'", "SELECT 'a', $1, 'b''c'", ["imapAlice"]),
        ("SELECT f('%{user}'::text, %{remote_ip}::inet)", "SELECT f($1::text, $2::inet)", [QUERY.user, "192.0.2.1"]),
        ("SELECT a /* it's */ -- '\nWHERE b = '%{username}'", "SELECT a /* it's */ -- '\nWHERE b = $1", ["Alice"]),
        ("SELECT $$it's$$, $t$ $$ $t$, '%{username}'", "SELECT $$it's$$, $t$ $$ $t$, $1", ["Alice"]),
        (r"SELECT E'it\'s', '\', '%{username}'", r"SELECT E'it\'s', '\', $1", ["Alice"]),
        ("SELECT \"it's\" FROM t WHERE a = '%{username}'", 'SELECT "it\'s" FROM t WHERE a = $1', ["Alice"]),
        ("SELECT a LIKE '100%' OR b = '%{username | safe}'", "SELECT a LIKE '100%' OR b = $1", ["Alice"]),
        ("SELECT '%%{user}'", "SELECT '%{user}'", []),
        ("SELECT '%{nothing | default('x')}'", "SELECT $1", ["x"]),
        ("SELECT (%{username},'%{username}')", "SELECT ($1,$2)", ["Alice", "Alice"]),
    ],
)
def test_a_variable_is_a_parameter(template: str, text: str, values: list[str]) -> None:
    assert made(template) == (text, values)


def test_sqlite_has_its_own_places_and_quotes() -> None:
    assert made("SELECT `it's`, [it's] WHERE a = '%{username}' AND b = %{service}", SQLITE) == (
        "SELECT `it's`, [it's] WHERE a = ?1 AND b = ?2",
        ["Alice", "imap"],
    )


@pytest.mark.parametrize("dialect", [PGSQL, SQLITE], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "missing"),
        ('SELECT a FROM t WHERE u = "%{user}"', "single quotes"),
        ("SELECT a FROM t_%{domain}", "cannot be variables"),
        ("SELECT a FROM %{domain}", "cannot be variables"),
        ("SELECT a FROM s.%{domain}", "cannot be variables"),
        ("SELECT a FROM t WHERE u%{user} = 1", "cannot be variables"),
        ("SELECT %{user}1", "cannot be variables"),
        ("SELECT %{user}%{domain}", "cannot be variables"),
        ("UPDATE %{user} SET a = 1", "cannot be variables"),
        ("SELECT a -- %{user}", "comment"),
        ("SELECT a /* %{user} */", "comment"),
        ("SELECT a /* /* */", "comment"),
        ("SELECT x'%{user}'", "cannot stand in x'"),
        ("SELECT a; DELETE FROM t", "one statement"),
        ("SELECT 'a", "not closed"),
        ("SELECT '%{user}", "not closed"),
        ('SELECT "a', "not closed"),
        ("SELECT '%{usr}'", "Unknown variable 'usr'"),
        ("SELECT '%{user | lowr}'", "Unknown filter"),
        ("SELECT '%{password}'", "Unknown variable 'password'"),
        ("SELECT '\0'", "NUL"),
    ],
)
def test_where_no_value_can_stand_the_query_is_refused(dialect: Dialect, template: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        prepare(template, dialect, "passdb_sql_query")
    assert caught.value.key == "passdb_sql_query"


@pytest.mark.parametrize(
    ("dialect", "template"),
    [
        (PGSQL, "SELECT $1"),
        (PGSQL, "SELECT $$%{user}$$"),
        (PGSQL, "SELECT E'%{user}'"),
        (PGSQL, "SELECT U&'%{user}'"),
        (SQLITE, "SELECT ?"),
        (SQLITE, "SELECT :a"),
        (SQLITE, "SELECT @a"),
        (SQLITE, "SELECT $a"),
        (SQLITE, "SELECT `%{user}`"),
        (SQLITE, "SELECT [%{user}]"),
    ],
)
def test_what_one_engine_alone_would_misread_is_refused(dialect: Dialect, template: str) -> None:
    with pytest.raises(ConfigError):
        prepare(template, dialect, "k")


def test_what_no_database_can_hold_matches_nothing() -> None:
    statement = prepare("SELECT '%{user}'", PGSQL, "k")
    assert statement.values(Query("a\0b")) is None
    assert statement.values(Query("\udcff")) is None


def test_a_value_that_cannot_be_made_is_a_temporary_failure() -> None:
    with pytest.raises(Unavailable):
        prepare("SELECT '%{user | index('@', 1)}'", PGSQL, "k").values(Query("alice"))


def test_the_variables_are_those_of_the_query() -> None:
    statement = prepare("SELECT '%{user | lower}', %{service}, '%{env:HOME}'", PGSQL, "k")
    assert statement.variables == {"user", "service"}
    assert prepare("SELECT '%{passdb:x}'", PGSQL, "k").variables is None
    assert prepare("SELECT '%{time:unix}'", PGSQL, "k").variables is None
    query = Query("alice", passdb_fields={"x": "one"})
    assert prepare("SELECT '%{passdb:x}%{passdb:y}'", PGSQL, "k").values(query) == ["one"]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("'\"\\;%{}$-/*:?\t\n|@.", max_size=20)


@settings(max_examples=200)
@given(user=TEXTS, template=st.sampled_from(["SELECT '%{user}'", "SELECT %{user}", "SELECT 'a-%{user}-b', 'it''s'"]))
def test_whatever_the_name_is_the_text_stays(user: str, template: str) -> None:
    for dialect in (PGSQL, SQLITE):
        statement = prepare(template, dialect, "k")
        text = statement.text
        values = statement.values(Query(user))
        assert statement.text == text == prepare(template, dialect, "k").text
        if "\0" in user:
            assert values is None
        else:
            assert values in ([user], [f"a-{user}-b"])


@settings(max_examples=200)
@given(before=TEXTS, after=TEXTS)
def test_a_quoted_text_is_put_together(before: str, after: str) -> None:
    before, after = (text.replace("\0", "").replace("%", "") for text in (before, after))
    template = f"SELECT '{before.replace(chr(39), chr(39) * 2)}%{{user}}{after.replace(chr(39), chr(39) * 2)}' AS x"
    for dialect in (PGSQL, SQLITE):
        statement = prepare(template, dialect, "k")
        assert statement.text == f"SELECT {dialect.place(1)} AS x"
        assert statement.values(Query("al'ice")) == [before + "al'ice" + after]
