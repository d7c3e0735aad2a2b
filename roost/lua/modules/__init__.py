"""Modules that ``require`` finds without a file: ``json`` and ``cjson``, ``base64``, ``socket.url``."""

from __future__ import annotations

from pathlib import Path

from roost.lua.api.base import Api
from roost.lua.api.dovecot import base64_decode, base64_encode

_HERE = Path(__file__).parent

BUILT_IN: tuple[Api, ...] = (
    Api(name="", source=(_HERE / "json.lua").read_text()),
    Api(
        name="",
        source=(_HERE / "small.lua").read_text(),
        functions={"base64_encode": base64_encode, "base64_decode": base64_decode},
    ),
)
