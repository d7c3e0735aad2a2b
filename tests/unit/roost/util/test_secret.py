"""Secret: never printed, never pickled, compared in constant time."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest

from roost.util.secret import Secret


@dataclass
class Holder:
    password: Secret


def test_no_way_of_printing_shows_the_octets() -> None:
    secret = Secret(b"hunter2")
    shown = f"{secret} {secret!r} {secret:>10} {secret!s} {[secret]} {Holder(secret)} %s %r" % (secret, secret)
    assert "hunter2" not in shown
    assert "hunter2" not in str(ValueError(secret))
    assert shown.count("***") == 8


def test_equality_is_by_value_and_only_among_secrets() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert Secret("é".encode()) == Secret.from_text("é")


def test_reveal_gives_a_copy_of_what_was_put_in() -> None:
    source = bytearray(b"pw")
    secret = Secret(source)  # type: ignore[arg-type]
    source[:] = b"xx"
    assert secret.reveal() == b"pw"
    assert secret and not Secret(b"")


def test_it_cannot_be_hashed_or_pickled() -> None:
    with pytest.raises(TypeError):
        hash(Secret(b"a"))
    with pytest.raises(TypeError):
        pickle.dumps(Secret(b"a"))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(b"a"))
