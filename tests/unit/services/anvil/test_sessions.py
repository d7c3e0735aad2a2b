"""The table of sessions against a plain model, and its bound."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roost.ipc.anvil import SessionRow
from services.anvil.sessions import Sessions


def test_counting() -> None:
    table = Sessions(100)
    assert table.connect(1, "a", 10, "bob", "imap", "192.0.2.1") == 1
    assert table.connect(2, "a", 20, "bob", "imap-login", "192.0.2.1") == 2  # same user, service and address
    assert table.connect(1, "b", 10, "bob", "imap", "192.0.2.9") == 1
    assert table.connect(1, "c", 10, "bob", "lmtp", "192.0.2.1") == 1
    assert table.count("bob", "imap", "192.0.2.1") == 2
    assert sorted(table.owners("bob")) == [1, 2] and table.owners("bob", "b") == [1] and table.owners("eve") == []
    assert table.disconnect(2, "a") and not table.disconnect(2, "a") and not table.disconnect(9, "a")
    assert table.count("bob", "imap", "192.0.2.1") == 1
    assert set(table.rows()) == {
        SessionRow(10, "bob", "imap", "192.0.2.1", "a"),
        SessionRow(10, "bob", "imap", "192.0.2.9", "b"),
        SessionRow(10, "bob", "lmtp", "192.0.2.1", "c"),
    }


def test_an_id_used_again_replaces() -> None:
    table = Sessions(100)
    table.connect(1, "a", 10, "bob", "imap", "x")
    assert table.connect(1, "a", 10, "alice", "imap", "x") == 1
    assert table.count("bob", "imap", "x") == 0 and len(table) == 1


def test_a_full_table_takes_no_more() -> None:
    table = Sessions(2)
    assert table.connect(1, "a", 1, "u", "imap", "x") == 1
    assert table.connect(1, "b", 1, "u", "imap", "x") == 2
    assert table.connect(1, "c", 1, "u", "imap", "x") is None
    assert len(table) == 2
    table.disconnect(1, "a")
    assert table.connect(1, "c", 1, "u", "imap", "x") == 2


STEP = st.tuples(
    st.sampled_from(["connect", "disconnect", "drop"]),
    st.integers(1, 3),
    st.sampled_from("abc"),
    st.sampled_from(["bob", "eve"]),
    st.sampled_from(["imap", "imap-login", "lmtp"]),
    st.sampled_from(["x", "y"]),
)


@settings(max_examples=200)
@given(st.lists(STEP, max_size=40))
def test_against_a_model(steps: list[tuple[str, int, str, str, str, str]]) -> None:
    table = Sessions(1000)
    model: dict[tuple[int, str], tuple[str, str, str]] = {}
    for step, owner, session_id, user, service, ip in steps:
        if step == "connect":
            model[owner, session_id] = (user, service.partition("-")[0], ip)
            expected = list(model.values()).count(model[owner, session_id])
            assert table.connect(owner, session_id, owner, user, service, ip) == expected
        elif step == "disconnect":
            assert table.disconnect(owner, session_id) == (model.pop((owner, session_id), None) is not None)
        else:
            gone = [key for key in model if key[0] == owner]
            for key in gone:
                del model[key]
            assert table.drop_owner(owner) == len(gone)
    assert len(table) == len(model) == len(list(table.rows()))
    for name in ("bob", "eve"):
        assert sorted(table.owners(name)) == sorted({key[0] for key, value in model.items() if value[0] == name})
        for ip in ("x", "y"):
            assert table.count(name, "imap", ip) == list(model.values()).count((name, "imap", ip))
    for owner in (1, 2, 3):
        table.drop_owner(owner)
    assert not table._by_owner and not table._by_user and not table._counts
