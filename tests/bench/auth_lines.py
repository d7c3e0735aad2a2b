"""The client's side of the auth client protocol, for many requests at a time: what it says is made beforehand."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Generator
from functools import cache, lru_cache

from tests.bench.client import Failed

USERS = 200
PASSWORD = b"pw"
ROUNDS = 4096
SALT = b"bench-salt-of-16"
PARAMETERS = b"service=imap\tsecured\tsession=bench\tlip=127.0.0.1\trip=127.0.0.1\tlport=143\trport=40000"
Exchange = tuple[bytes, Callable[[], Generator[bytes, bytes, None]]]
"""The mechanism's name, and what makes the client's turns: yields a response, is sent the challenge."""


class Client:
    """One connection. ``login``: asks as a login room does, for the userdb's answer too."""

    def __init__(self, path: str, *, login: bool) -> None:
        self._more = b"\tuserdb" if login else b""
        self._last = 0
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(path)
        self._socket.sendall(b"VERSION\t1\t1\nCPID\t%d\n" % os.getpid())
        while True:
            if b"DONE" in self._lines():
                return

    def batch(self, exchanges: list[Exchange]) -> None:
        """All of them at once; back when each is OK. Raises Failed."""
        waiting: dict[bytes, Generator[bytes, bytes, None]] = {}
        said = []
        for mechanism, make in exchanges:
            self._last += 1
            name = b"%d" % self._last
            waiting[name] = turns = make()
            resp = _base64(next(turns))
            said.append(b"AUTH\t%b\t%b\t%b%b\tresp=%b\n" % (name, mechanism, PARAMETERS, self._more, resp))
        self._socket.sendall(b"".join(said))
        while waiting:
            said = []
            for line in self._lines():
                word, name, *rest = line.split(b"\t")
                if word == b"CONT":
                    answer = waiting[name].send(a2b_base64(rest[0]))
                    said.append(b"CONT\t%b\t%b\n" % (name, _base64(answer)))
                elif word == b"OK":
                    del waiting[name]
                else:
                    raise Failed(line.decode("latin-1"))
            if said:
                self._socket.sendall(b"".join(said))

    def _lines(self) -> list[bytes]:
        data = self._socket.recv(1 << 18)
        if not data:
            raise Failed("the auth process has closed the connection")
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def close(self) -> None:
        self._socket.close()


def plain(letter: str) -> Callable[[int], Exchange]:
    @cache
    def exchange(number: int) -> Exchange:
        return _single(b"PLAIN", b"\0%b%d\0%b" % (letter.encode(), number, PASSWORD))

    return exchange


def bearer(algorithm: str) -> Callable[[int], Exchange]:
    """A token of each user's own, signed once."""

    @lru_cache(USERS)
    def exchange(number: int) -> Exchange:
        from kit import jwts

        user = f"u{number}"
        token = jwts.token(algorithm, jwts.claims(preferred_username=user, sub=user, scope="mail"))
        return _single(b"OAUTHBEARER", f"n,a={user},\1auth=Bearer {token}\1\1".encode())

    return exchange


def scram(letter: str) -> Callable[[int], Exchange]:
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, SALT, ROUNDS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()

    def exchange(number: int) -> Exchange:
        def turns() -> Generator[bytes, bytes, None]:
            bare = b"n=%b%d,r=%b" % (letter.encode(), number, os.urandom(12).hex().encode())
            first = yield b"n,," + bare
            end = b"c=biws," + first.partition(b",")[0]
            signature = hmac.digest(stored_key, b",".join((bare, first, end)), "sha256")
            proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
            yield b"%b,p=%b" % (end, _base64(proof))
            yield b""

        return b"SCRAM-SHA-256", turns

    return exchange


def scram_stored() -> str:
    """What the databases hold for every user of SCRAM."""
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, SALT, ROUNDS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = [_base64(part).decode() for part in (SALT, stored_key, server_key)]
    return "{SCRAM-SHA-256}" + f"{ROUNDS},{','.join(parts)}"


def ssha512_stored() -> str:
    return "{SSHA512}" + _base64(hashlib.sha512(PASSWORD + SALT).digest() + SALT).decode()


def _single(mechanism: bytes, response: bytes) -> Exchange:
    def turns() -> Generator[bytes, bytes, None]:
        yield response

    return mechanism, turns


def _base64(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False)
