"""The password schemes, borrowed from the auth room by name, as the master takes its rooms: the one thing doveadm
needs of another room. Only ``doveadm pw`` loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

SCHEMES_MODULE = "services.auth.schemes"


class Schemes(NamedTuple):
    """``services/auth/schemes``: the table, and the two directions of the stored form."""

    strong: Mapping[str, Any]
    all: Mapping[str, Any]
    parse: Callable[[str, Mapping[str, Any], str], Any]
    write: Callable[..., str]
    encoding: Any


def load() -> Schemes:
    module = vars(import_module(SCHEMES_MODULE))
    base = vars(import_module(SCHEMES_MODULE + ".base"))
    return Schemes(module["SCHEMES"], module["ALL_SCHEMES"], module["parse"], module["write"], base["Encoding"])
