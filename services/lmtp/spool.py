"""A message while it arrives: its octets in an ``Upload``, its size and the beginning of its header.

A message too big, or one the disk does not take, is still read to its end (the protocol has no other way) but no longer
kept: ``failure`` says why.
"""

from __future__ import annotations

import re

from roost.errors import RoostError
from roost.storage.upload import Upload

HEAD_OCTETS = 64 * 1024  # the Message-ID is looked for in so much of a message
COPY_OCTETS = 256 * 1024

_FIELDS = {
    name: re.compile(rb"(?:\A|\r\n)" + name + rb"[ \t]*:[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)", re.IGNORECASE)
    for name in (b"message-id", b"subject", b"from")
}
_USUALLY = {b"message-id": b"\r\nMessage-ID:", b"subject": b"\r\nSubject:", b"from": b"\r\nFrom:"}  # found at once


class Spool:
    """``prefix`` goes into ``upload`` first (the trace fields of an only recipient): not part of ``size_octets``."""

    __slots__ = ("_head", "_head_done", "failure", "prefix_octets", "size_octets", "upload")

    def __init__(self, upload: Upload | None, prefix: bytes = b"", failure: RoostError | None = None) -> None:
        """``upload`` None: nothing is kept, for the reason ``failure``."""
        self.upload = upload
        self.failure = failure
        self.prefix_octets = len(prefix)
        self.size_octets = 0
        self._head = b""
        self._head_done = False
        if prefix and upload is not None:
            self._keep(upload, prefix)

    def write(self, octets: bytes) -> None:
        """More of the message, as it is to be stored. Raises nothing; see ``failure``."""
        if not octets:
            return
        self.size_octets += len(octets)
        if not self._head_done:
            self._head = self._head + octets if self._head else octets
            self._head_done = len(self._head) >= HEAD_OCTETS or b"\r\n\r\n" in self._head
        if self.upload is not None:
            self._keep(self.upload, octets)

    def _keep(self, upload: Upload, octets: bytes) -> None:
        try:
            upload.write(octets)
        except RoostError as error:
            self.failure = error
            upload.abort()
            self.upload = None

    def message_id(self) -> str:
        """As the log shows it, with its brackets; ``unspecified`` when there is none."""
        return self.field(b"message-id") or "unspecified"

    def field(self, name: bytes) -> str:
        """A header field of that name (lower case) for the log, at most 300 characters; "" when absent. When there are
        several, the first in the usual spelling."""
        head = self._head
        end = 0 if head.startswith(b"\r\n") else head.find(b"\r\n\r\n")
        end = end if end >= 0 else len(head)
        usual = head.find(_USUALLY[name], 0, end)
        match = _FIELDS[name].search(head, max(usual, 0), end)
        return match[1].strip().decode("utf-8", "replace")[:300] if match is not None else ""

    def copy_to(self, upload: Upload) -> None:
        """Write the whole message into another upload. Blocks on the disk when the message is in a file."""
        source = self.upload
        assert source is not None
        if source.path is None:
            upload.write(source.data())
            return
        with open(source.path, "rb") as file:
            while part := file.read(COPY_OCTETS):
                upload.write(part)

    @property
    def in_memory(self) -> bool:
        return self.upload is None or self.upload.path is None

    def close(self) -> None:
        """Throw away what is left."""
        if self.upload is not None:
            self.upload.abort()
            self.upload = None
