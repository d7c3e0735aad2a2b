"""The rules for user names: from the octets a client sent to the name that databases are asked for.

Before them: ``auth_master_user_separator`` takes the name apart, and the rules hold for both parts.

In this order: UTF-8, ``auth_default_domain``, ``auth_username_translation``, ``auth_username_chars``,
``auth_username_format``. What breaks a rule is an unknown user to the client, and a line in the log.
"""

from __future__ import annotations

import re

from roost.errors import ConfigError, Refused
from roost.settings.schema.auth import AuthSettings
from roost.settings.variables import expand

LOWER = "%{user | lower}"
FORBIDDEN_IN_PASSWORD = re.compile(rb"[\x01\t\r\n]")


class BadName(Refused):
    """The name breaks a rule; ``detail`` says which, in Dovecot's words."""


class NameRules:
    """The rules of one configuration."""

    def __init__(self, settings: AuthSettings) -> None:
        """Raises ConfigError when a setting makes no sense."""
        pairs = settings.auth_username_translation
        if len(pairs) % 2:
            raise ConfigError("characters come in pairs: from, to", key="auth_username_translation")
        self._separator = settings.auth_master_user_separator.encode()
        if len(settings.auth_master_user_separator) > 1:
            raise ConfigError("one character, or none", key="auth_master_user_separator")
        self._domain = settings.auth_default_domain
        self._translation = {ord(pairs[i]): pairs[i + 1] for i in range(0, len(pairs), 2)}
        chars = settings.auth_username_chars
        self._forbidden = re.compile(f"[^{re.escape(chars)}]") if chars else None
        self._format = settings.auth_username_format
        self._lower = self._format.replace(" ", "") == LOWER.replace(" ", "")

    def name_of(self, octets: bytes) -> str:
        """The name for the databases. Raises BadName."""
        try:
            name = octets.decode("utf-8")
        except UnicodeDecodeError:
            raise BadName("Unknown user.", detail="Username is not valid UTF-8") from None
        return self.normalise(name)

    def who(self, authcid: bytes, authzid: bytes) -> tuple[str, str]:
        """Who authenticates, and whom he wants to be: "" when that is nobody else.

        The second comes from the name itself (``wanted*master``), or from the mechanism, which counts more.
        Raises BadName.
        """
        wanted = b""
        if self._separator and self._separator in authcid:
            wanted, _, authcid = authcid.partition(self._separator)
            if not wanted:
                raise BadName("Unknown user.", detail="Empty login username")
        name = self.name_of(authcid)
        if not authzid and not wanted:
            return name, ""
        other = self.name_of(authzid or wanted)
        return name, "" if other == name else other

    def normalise(self, name: str) -> str:
        """Like ``name_of`` for a text. Raises BadName."""
        if self._domain and "@" not in name:
            name = f"{name}@{self._domain}"
        if self._translation:
            name = name.translate(self._translation)
        if self._forbidden is not None:
            bad = self._forbidden.search(name)
            if bad is not None:
                why = f"Username character disallowed by auth_username_chars: 0x{ord(bad[0]):02x}"
                raise BadName("Unknown user.", detail=f"{why} (username: {name[:64]})")
        elif not name.isprintable() and any(ord(char) < 32 or char == "\x7f" for char in name):
            raise BadName("Unknown user.", detail="Username has control characters")
        if self._lower and name.isascii():
            name = name.lower()
        elif self._format and self._format != "%{user}":
            name = expand(
                self._format,
                {"user": name, "username": name.partition("@")[0], "domain": name.partition("@")[2]},
            )
        if not name:
            raise BadName("Unknown user.", detail="Empty username")
        return name


def password_allowed(password: bytes) -> bool:
    """Passwords with octets that break internal protocols are refused like unknown users."""
    return FORBIDDEN_IN_PASSWORD.search(password) is None
