"""http and https URLs (RFC 3986, RFC 9110 §4.2): strict, with the texts Dovecot's parser gives.

A URL is never repaired: what is not written in ASCII by the grammar is refused, so nothing in it can end a request line
or forge a header. Fragments are refused, since they are never sent and their presence is a mistake.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urljoin

MAX_URL_OCTETS = 16_384
DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"//([^/?#]*)")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-])+\Z")
_BAD_PCT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUL = re.compile(r"%00")
_BAD_USERINFO = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=:%-]")
_BAD_PATH = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")
_BAD_QUERY = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=:@/?%-]")


class BadUrl(ValueError):
    """Not a URL we take; the text says why."""


@dataclass(frozen=True, slots=True)
class Url:
    """``host``: lower case, no brackets. ``target``: path and query, as sent. ``user`` None: no userinfo."""

    scheme: str
    host: str
    port: int
    target: str
    user: bytes | None = None
    password: bytes = field(default=b"", repr=False)

    @property
    def authority(self) -> str:
        """The Host header: without the port when it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_url(text: str, *, userinfo: bool = True) -> Url:
    """The URL in ``text``. ``userinfo`` False: a user in it is refused. Raises BadUrl."""
    scheme_match = _SCHEME.match(text)
    if scheme_match is None:
        if text[:1] in ("/", "?", "#", ""):
            raise BadUrl("Relative HTTP URL not allowed")
        raise BadUrl("Invalid URI scheme" if ":" in text else "Relative HTTP URL not allowed")
    scheme = scheme_match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise BadUrl("Not an HTTP URL")
    if len(text) > MAX_URL_OCTETS:
        raise BadUrl("URL is too long")
    authority_match = _AUTHORITY.match(text, scheme_match.end())
    if authority_match is None:
        raise BadUrl(f"Absolute HTTP URL requires `//' after `{scheme}:'")
    rest = text[authority_match.end() :]
    user, password, host, port = _authority(authority_match[1], userinfo, DEFAULT_PORTS[scheme])
    before, mark, _ = rest.partition("#")
    path, query_mark, query = before.partition("?")
    _check(path, _BAD_PATH, "Path")
    if query_mark:
        _check(query, _BAD_QUERY, "Query")
    if mark:
        raise BadUrl("Fragment part not allowed")
    return Url(scheme, host, port, (path or "/") + query_mark + query, user, password)


def join_url(base: Url, location: str) -> Url:
    """Where a Location header leads. Relative ones count from ``base``; userinfo is refused. Raises BadUrl."""
    location = location.partition("#")[0]  # RFC 9110 §10.2.2 allows one; it is never sent
    if _SCHEME.match(location):
        return parse_url(location, userinfo=False)
    bad = _BAD_QUERY.search(location)
    if bad is not None and bad[0] not in "[]":
        raise BadUrl(f"Path component contains invalid character {_shown(bad[0])}")
    return parse_url(urljoin(base.origin + base.target, location), userinfo=False)


def _authority(text: str, userinfo: bool, default_port: int) -> tuple[bytes | None, bytes, str, int]:
    info, at, hostport = text.rpartition("@")
    user: bytes | None = None
    password = b""
    if at:
        if not userinfo:
            raise BadUrl("HTTP URL does not allow `userinfo@' part")
        _check(info, _BAD_USERINFO, "Userinfo")
        name, _, secret = info.partition(":")
        user, password = unquote_to_bytes(name), unquote_to_bytes(secret)
    if hostport.startswith("["):
        host, closed, after = hostport[1:].partition("]")
        if not closed:
            raise BadUrl("Expecting ']' at end of IP-literal")
        if not host:
            raise BadUrl("Empty IPv6 host address")
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError:
            raise BadUrl("Invalid IPv6 host address") from None
        if "%" in host or (after and not after.startswith(":")):
            raise BadUrl("Invalid host identifier")
        port = after[1:]
    else:
        host, _, port = hostport.partition(":")
        if not host:
            raise BadUrl("HTTP URL does not allow empty host identifier")
        if not _HOST.match(host):
            raise BadUrl("Invalid host identifier")
        host = host.lower()
    if not port:
        return user, password, host, default_port
    if not _PORT.match(port) or not 0 < int(port) <= 65535:
        raise BadUrl("Invalid port number")
    return user, password, host, int(port)


def _check(part: str, bad: re.Pattern[str], name: str) -> None:
    found = bad.search(part)
    if found is not None:
        raise BadUrl(f"{name} component contains invalid character {_shown(found[0])}")
    if _BAD_PCT.search(part):
        raise BadUrl("Expecting two hex digits after '%'")
    if _NUL.search(part):
        raise BadUrl("Encoded NUL character not allowed")


def _shown(char: str) -> str:
    return f"'{char}'" if char.isascii() and char.isprintable() else f"<0x{ord(char):02X}>"
