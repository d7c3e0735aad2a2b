"""Tokens that stand for a login which has happened: what REQUEST gives with ``request_auth_token``.

A token is an HMAC over the user, the mail process, the session and the service; whoever has the secret can make and
check it. The secret is 32 random octets in ``state_dir/auth-token-secret.dat``, made when first wanted. A file that
others may read, that is no plain file or belongs to a stranger is refused, and then there are no tokens.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import stat
from collections.abc import Callable

from roost.errors import Unavailable

FILE_NAME = "auth-token-secret.dat"
SECRET_OCTETS = 32


class TokenMaker:
    """The tokens of one installation. ``entropy``: so many random octets."""

    def __init__(self, folder: str, entropy: Callable[[int], bytes]) -> None:
        self._path = os.path.join(folder, FILE_NAME)
        self._entropy = entropy
        self._secret = b""

    def token(self, user: str, *, session_pid: int, session: str, service: str) -> str:
        """40 hex digits. Raises Unavailable when there is no secret."""
        if not self._secret:
            self._secret = self._load()
        mac = hmac.new(user.encode("utf-8", "surrogateescape"), digestmod="sha1")
        for text in (str(session_pid), session, service):
            mac.update(text.encode("utf-8", "surrogateescape"))
        mac.update(self._secret)
        return mac.hexdigest()

    def _load(self) -> bytes:
        try:
            secret = _read(self._path) or self._create()
        except OSError as error:
            raise Unavailable("No token.", detail=f"{self._path}: {error.strerror}") from None
        if not secret:
            raise Unavailable("No token.", detail=f"{self._path} is damaged")
        return secret

    def _create(self) -> bytes:
        """A new secret; somebody else's if he was quicker. One of a wrong length is replaced."""
        secret = self._entropy(SECRET_OCTETS)
        temporary = f"{self._path}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # of a process that died with our number
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                os.write(file, secret)
                os.fsync(file)
            finally:
                os.close(file)
            if os.path.lexists(self._path):
                os.replace(temporary, self._path)
                return secret
            os.link(temporary, self._path)
            os.unlink(temporary)
        except FileExistsError:
            os.unlink(temporary)
            return _read(self._path)
        except OSError:
            os.unlink(temporary)
            raise
        return secret


def _read(path: str) -> bytes:
    """The secret; empty when there is none, or none of the right length. Raises OSError, Unavailable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        status = os.fstat(file)
        private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
        if not private or status.st_uid not in (0, os.geteuid()):
            raise Unavailable("No token.", detail=f"{path} must be a file of mode 0600, of root or of our own user")
        secret = os.read(file, SECRET_OCTETS + 1)
    finally:
        os.close(file)
    return secret if len(secret) == SECRET_OCTETS else b""
