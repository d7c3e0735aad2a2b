"""The base functions of ``dovecot``: logging, flags, time, escaping, ``var_expand``, base64."""

from __future__ import annotations

import base64
import ipaddress
import re
import time
from typing import TYPE_CHECKING

from roost.errors import ConfigError
from roost.lua.api.base import Api, ScriptError, lua_text
from roost.lua.values import octets
from roost.settings.variables import expand

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "dovecot.lua")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_SPACE = re.compile(rb"[ \t\r\n]+")


def gettimeofday() -> tuple[int, int]:
    """Seconds and microseconds."""
    secs, rest = divmod(time.time_ns(), 1_000_000_000)
    return secs, rest // 1000


def net_ip_family(text: str) -> int:
    """4, 6, or 0 when it is no IP address."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def base64_encode(data: str) -> bytes:
    return base64.b64encode(octets(data))


def base64_decode(text: str) -> bytes:
    """What could be decoded before the first fault; white space is skipped."""
    data = _SPACE.sub(b"", octets(text))
    fault = _NOT_BASE64.search(data)
    body = data[: fault.start()] if fault else data
    if len(body) % 4 == 1:
        body = body[:-1]
    return base64.b64decode(body + b"=" * (-len(body) % 4))


def var_expand(template: str) -> str:
    """Only the built-in providers; raises ScriptError with Dovecot's words."""
    try:
        return expand(template, {})
    except ConfigError as error:
        raise ScriptError(f"failed to expand '{template}': {error.why}") from None


def make(script: Script) -> Api:
    """The base family of one script; its log lines go to the process's log, without the events' prefixes."""
    log = script.parent.log
    assert log is not None
    return Api(
        name="dovecot",
        source=_SOURCE,
        functions={
            "i_debug": log.debug,
            "i_info": log.info,
            "i_warning": log.warning,
            "i_error": log.error,
            "gettimeofday": gettimeofday,
            "nanoseconds": time.time_ns,
            "net_ip_family": net_ip_family,
            "var_expand": var_expand,
            "base64_encode": base64_encode,
            "base64_decode": base64_decode,
        },
    )
