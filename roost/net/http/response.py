"""Reading one HTTP/1.1 response after another from octets (RFC 9112), without I/O.

h11 judges everything unusual: chunked bodies, 1xx, HEAD, HTTP/1.0, bodies that end with the connection, and all that is
malformed. The usual answer of an API server (HTTP/1.1, CRLF, one Content-Length) is recognised by one strict pattern
and costs a sixth of that; it accepts nothing that h11 would refuse, and a test compares the two
(docs/decisions/0010-http-fast-path.md has the figures).

Header names are in lower case, values are octets without surrounding blanks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import h11

from roost.errors import Malformed

Headers = list[tuple[bytes, bytes]]

MAX_CHUNKS: Final = 65_536  # of one body: each costs h11 ten microseconds, however small it is
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_USUAL_HEAD: Final = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}\Z")
_OTHER_METHODS: Final = (b"HEAD", b"CONNECT")
_NO_BODY: Final = (204, 304)
_KNOWN_OCTETS: Final = 2048  # a longer head is not remembered
_KNOWN_HEADS: Final = 32
_CLOSE: Final = re.compile(rb"(?:^|,)[ \t]*close[ \t]*(?:,|$)", re.I)


class BodyError(Malformed):
    """The head was fine, its body is not: cut short, badly framed or longer than allowed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one response. Octets, but for ``fields``."""

    head_octets: int = 200 * 1024
    field_octets: int = 8 * 1024
    fields: int = 50
    body_octets: int = 10 * 1024 * 1024


Known = dict[bytes, tuple[int, bytes, Headers, int, bool]]
"""Heads of usual responses as they came → status, reason, headers, length of the body, keep. A server's answers within
one second often have the same head. Belongs to readers of the same Limits."""


class Reply:
    """One final response. ``keep``: the connection may carry another. ``headers`` may be shared: to be read only."""

    __slots__ = ("body", "headers", "keep", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: Headers, body: bytes, keep: bool) -> None:
        self.status, self.reason, self.headers, self.body, self.keep = status, reason, headers, body, keep


class ResponseReader:
    """Responses of one connection. Call ``expect`` for each request, then ``feed`` until it returns the Reply."""

    __slots__ = (
        "_body",
        "_buffer",
        "_chunks",
        "_head",
        "_known",
        "_limits",
        "_method",
        "_missing",
        "_scanned",
        "_slow",
        "_started",
        "informed",
    )

    def __init__(self, limits: Limits, known: Known | None = None) -> None:
        """``known`` is shared by the connections to one server."""
        self._limits = limits
        self._known: Known = {} if known is None else known
        self._buffer = bytearray()
        self._scanned = 0
        self._head: tuple[int, bytes, Headers, bool] | None = None
        self._body = bytearray()
        self._missing = 0
        self._chunks = 0
        self._slow: h11.Connection | None = None
        self._method = b""
        self._started = False
        self.informed: list[int] = []  # the 1xx that came; 100 asks for the body

    @property
    def started(self) -> bool:
        """Something of the answer has come."""
        return self._started

    @property
    def in_body(self) -> bool:
        return self._head is not None

    @property
    def surplus(self) -> bool:
        """Octets came that nobody asked for; the connection is not to be used again."""
        return not self._method and bool(self._buffer)

    def expect(self, method: bytes) -> None:
        """A request was sent. Not before the last one's Reply."""
        assert not self._method and not self._buffer
        self._method = method
        self._started = False
        self.informed = []

    def feed(self, data: bytes) -> Reply | None:
        """Octets from the server. Raises Malformed (BodyError after the head); then the connection must be closed."""
        if not self._method:
            self._buffer += data
            return None
        self._started = True
        if self._slow is not None:
            return self._ask_h11(data)
        if self._head is not None:
            return self._more_body(data)
        self._buffer += data
        return self._usual()

    def eof(self) -> Reply | None:
        """The server closed: a Reply when that ends a body, None when nothing had come. Raises Malformed."""
        if not self._method or not self._started:
            return None
        if self._head is not None and self._slow is None:
            raise BodyError(f"Connection closed with {self._missing} octets of the payload missing")
        if self._slow is None:
            raise Malformed("Connection closed inside the response header")
        return self._ask_h11(b"")

    # --- the usual response ---

    def _usual(self) -> Reply | None:
        buffer = self._buffer
        blank = _BLANK_LINE.search(buffer, max(self._scanned - 3, 0))
        if blank is None:
            self._scanned = len(buffer)
            if len(buffer) > self._limits.head_octets:
                raise Malformed("Excessive header size")
            return None
        head = bytes(buffer[: blank.end()])
        known = self._known.get(head)
        if known is not None and self._method not in _OTHER_METHODS:
            return self._start_body(known, len(head))
        found = _USUAL_HEAD.fullmatch(head) if self._method not in _OTHER_METHODS else None
        usual = found and self._usual_headers(found)
        if not usual:
            self._slow = self._start_h11()
            octets = bytes(buffer)
            buffer.clear()
            self._scanned = 0
            return self._ask_h11(octets)
        headers, length, keep = usual
        assert found is not None
        self._check_head(headers, len(head))
        made = (int(found[1]), found[2] or b"", headers, length, keep)
        if len(head) <= _KNOWN_OCTETS:
            if len(self._known) >= _KNOWN_HEADS:
                self._known.clear()
            self._known[head] = made
        return self._start_body(made, len(head))

    def _start_body(self, head: tuple[int, bytes, Headers, int, bool], octets: int) -> Reply | None:
        status, reason, headers, length, keep = head
        if length > self._limits.body_octets:
            raise BodyError("Payload is too large")
        buffer = self._buffer
        self._head = (status, reason, headers, keep)
        self._missing = length
        rest = bytes(buffer[octets:]) if len(buffer) > octets else b""
        buffer.clear()
        self._scanned = 0
        return self._more_body(rest)

    def _usual_headers(self, found: re.Match[bytes]) -> tuple[Headers, int, bool] | None:
        """The headers if the body is framed by exactly one Content-Length; None: let h11 look."""
        if int(found[1]) in _NO_BODY:
            return None
        headers: Headers = []
        length = -1
        keep = True
        for line in found[3].split(b"\r\n")[:-1]:
            name, _, value = line.partition(b":")
            name = name.lower()
            value = value.strip(b" \t")
            if name == b"content-length":
                if length >= 0 or not _LENGTH.match(value):
                    return None
                length = int(value)
            elif name == b"connection":
                keep = keep and not _CLOSE.search(value)
            elif name == b"transfer-encoding" or name == b"upgrade":
                return None
            headers.append((name, value))
        return (headers, length, keep) if length >= 0 else None

    def _more_body(self, data: bytes) -> Reply | None:
        assert self._head is not None
        missing = self._missing
        if len(data) < missing:
            self._body += data
            self._missing = missing - len(data)
            return None
        if len(data) > missing:
            self._buffer += data[missing:]
            data = data[:missing]
        body = data if not self._body else bytes(self._body + data)
        status, reason, headers, keep = self._head
        self._done()
        return Reply(status, reason, headers, body, keep and not self._buffer)

    def _done(self) -> None:
        self._head = None
        if self._body:
            self._body = bytearray()
        self._missing = self._chunks = 0
        self._slow = None
        self._method = b""

    def _check_head(self, headers: Headers, octets: int) -> None:
        limits = self._limits
        if octets > limits.head_octets:
            raise Malformed("Excessive header size")
        if len(headers) > limits.fields:
            raise Malformed("Excessive number of header fields")
        if octets > limits.field_octets:  # else no field can be longer
            for name, value in headers:
                if len(name) + len(value) > limits.field_octets:
                    raise Malformed("Excessive header field size")

    # --- everything else ---

    def _start_h11(self) -> h11.Connection:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._limits.head_octets)
        connection.send(h11.Request(method=self._method, target=b"/", headers=[(b"Host", b"h")]))
        connection.send(h11.EndOfMessage())
        return connection

    def _ask_h11(self, data: bytes) -> Reply | None:
        """``data`` b"" is the end of the connection."""
        connection = self._slow
        assert connection is not None
        try:
            connection.receive_data(data)
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    return None
                reply = self._event(connection, event)
                if reply is not None:
                    return reply
        except h11.RemoteProtocolError as error:
            text = str(error).partition(": bytearray")[0]  # without what the server sent
            raise (BodyError if self._head is not None else Malformed)(text) from None

    def _event(self, connection: h11.Connection, event: object) -> Reply | None:
        if isinstance(event, (h11.InformationalResponse, h11.Response)) and not event.http_version.startswith(b"1."):
            raise Malformed("Bad HTTP version")
        if isinstance(event, h11.InformationalResponse):
            if len(self.informed) >= self._limits.fields:
                raise Malformed("Excessive number of interim responses")
            self.informed.append(event.status_code)
        elif isinstance(event, h11.Response):
            headers: Headers = list(event.headers)
            self._check_head(headers, sum(len(name) + len(value) + 4 for name, value in headers))
            names = [name for name, _ in headers]
            framed_twice = b"transfer-encoding" in names and b"content-length" in names
            self._head = (event.status_code, bytes(event.reason), headers, not framed_twice)
            self._missing = self._limits.body_octets
        elif isinstance(event, h11.Data):
            self._missing -= len(event.data)
            if self._missing < 0:
                raise BodyError("Payload is too large")
            self._chunks += event.chunk_start
            if self._chunks > MAX_CHUNKS:
                raise BodyError("Excessive number of chunks")
            self._body += event.data
        elif event is h11.PAUSED or isinstance(event, h11.EndOfMessage):
            assert self._head is not None
            status, reason, headers, keep = self._head
            left, closed = connection.trailing_data
            keep = keep and connection.their_state is h11.DONE and not left and not closed
            body = bytes(self._body)
            self._done()
            self._buffer += left
            return Reply(status, reason, headers, body, keep)
        elif isinstance(event, h11.ConnectionClosed):
            raise Malformed("Connection closed inside the response header")
        return None
