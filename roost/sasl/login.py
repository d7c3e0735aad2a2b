"""LOGIN (draft-murchison-sasl-login): prompts for a user name, then for a password. Old mail clients know only this."""

from __future__ import annotations

from roost.sasl.base import Broken, Challenge, Mechanism, Turn, Verify
from roost.util.secret import Secret

USERNAME_PROMPT = b"Username:"
PASSWORD_PROMPT = b"Password:"


class Login:
    """Two prompts; an initial response that is not empty is the user name."""

    __slots__ = ("_user",)

    def __init__(self) -> None:
        self._user: bytes | None = None

    def start(self, initial: bytes | None) -> Turn:
        if not initial:
            return Challenge(USERNAME_PROMPT)
        return self.step(initial)

    def step(self, response: bytes) -> Turn:
        if self._user is None:
            if not response or b"\0" in response:
                return Broken("LOGIN user name is empty or has a NUL")
            self._user = response
            return Challenge(PASSWORD_PROMPT)
        if b"\0" in response:
            return Broken("LOGIN password has a NUL")
        return Verify(self._user, Secret(response))


LOGIN = Mechanism("LOGIN", frozenset({"plaintext"}), lambda surroundings: Login())
