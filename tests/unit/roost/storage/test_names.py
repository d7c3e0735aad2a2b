"""Mailbox names and what happens to the tree of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import InvalidName, LimitExceeded, MailboxAlreadyExists, MailboxHasChildren, NoSuchMailbox, Refused
from roost.storage import names
from roost.storage.limits import Limits

LIMITS = Limits(mailbox_max_count=20, mailbox_max_depth=4, mailbox_name_max_length=40)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("inbox", "INBOX"), ("InBoX/a", "INBOX/a"), ("inboxes", "inboxes"), ("a/inbox", "a/inbox"), ("INBOX", "INBOX"),
     ("e\u0301", "\u00e9"), ("\u212b", "\u00c5"), ("\u0131nbox", "\u0131nbox")],
)  # fmt: skip
def test_canonical(name: str, wanted: str) -> None:
    assert names.canonical(name) == wanted
    assert names.canonical(wanted) == wanted


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "a\0", "\x1f", "\x7f", "\x85", "\u2028", "\udc80",
                                  "a/b/c/d/e", "x" * 41, "\u00e9" * 21])  # fmt: skip
def test_impossible(name: str) -> None:
    with pytest.raises(InvalidName):
        names.check(name, LIMITS)


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_checked_names_are_canonical(name: str) -> None:
    try:
        found = names.check(name, LIMITS)
    except InvalidName:
        return
    assert names.check(found, LIMITS) == found == names.canonical(found)
    assert all(found.split("/")) and len(found.encode()) <= 40


def test_create() -> None:
    assert names.to_create({"INBOX", "a"}, "a/b/c", LIMITS) == ["a/b", "a/b/c"]
    with pytest.raises(MailboxAlreadyExists):
        names.to_create({"a"}, "a", LIMITS)
    with pytest.raises(LimitExceeded):
        names.to_create({str(n) for n in range(19)}, "x/y", LIMITS)


def test_delete() -> None:
    tree = {"INBOX", "a", "a/b", "a/b/c", "z", "z/y"}
    assert names.to_delete(tree, set(), "a") == names.Deletion(True, ())
    assert names.to_delete(tree, {"a", "a/b"}, "a/b/c") == names.Deletion(False, ("a", "a/b"))
    assert names.to_delete(tree, {"a"}, "a/b/c") == names.Deletion(False, ())
    assert names.to_delete(tree | {"a/x"}, {"a", "a/b"}, "a/b/c") == names.Deletion(False, ("a/b",))
    with pytest.raises(MailboxHasChildren):
        names.to_delete(tree, {"a"}, "a")
    with pytest.raises(NoSuchMailbox):
        names.to_delete(tree, set(), "b")
    with pytest.raises(Refused):
        names.to_delete(tree, set(), "INBOX")


def test_rename() -> None:
    tree = {"INBOX", "a", "a/b", "ab", "c"}
    renaming = names.to_rename(tree, set(), "a", "c/d/e", LIMITS)
    assert renaming == names.Renaming(("c/d",), (("a", "c/d/e"), ("a/b", "c/d/e/b")))
    assert names.to_rename(tree, {"c"}, "ab", "c/ab", LIMITS).create == ("c",)
    for target, error in (("c", MailboxAlreadyExists), ("a/x", InvalidName), ("c/d/e/f", InvalidName)):
        with pytest.raises(error):
            names.to_rename(tree, set(), "a", target, LIMITS)
    with pytest.raises(NoSuchMailbox):
        names.to_rename(tree, set(), "no", "x", LIMITS)


def test_order_and_children() -> None:
    assert sorted(["a", "a.b", "a/b", "INBOX", "INBOX/z", "Z"], key=names.sort_key) == [
        "INBOX", "INBOX/z", "Z", "a", "a/b", "a.b"
    ]  # fmt: skip
    assert names.with_children(["a/b/c", "d"]) == {"a", "a/b"}
