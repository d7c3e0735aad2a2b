"""One connection to an LDAP server, by ldap3 (this is its one door). Everything waits, so it is called in threads.

Passwords go to ``bind`` as octets and nowhere else. A bind with an empty name or an empty password is refused here:
servers take it for an anonymous one, and answer that it worked.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.operation.search import parse_filter

from roost.errors import ConfigError
from roost.settings.schema.ldap import LdapSettings
from services.auth.ldap.templates import Answer

SCHEMES = ("ldap://", "ldaps://", "ldapi://")
SCOPES = {"base": ldap3.BASE, "onelevel": ldap3.LEVEL, "subtree": ldap3.SUBTREE}
DEREFERENCE = {
    "never": ldap3.DEREF_NEVER,
    "searching": ldap3.DEREF_SEARCH,
    "finding": ldap3.DEREF_BASE,
    "always": ldap3.DEREF_ALWAYS,
}
PAGES = "1.2.840.113556.1.4.319"
SUCCESS, TIME_LIMIT, SIZE_LIMIT = 0, 3, 4
NO_SUCH_OBJECT, INVALID_DN = 32, 34


class LdapError(Exception):
    """``lost``: the connection is no longer good. ``late``: no answer came in time. The text never holds a password."""

    def __init__(self, why: str, *, code: int = -1, lost: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.lost = lost
        self.late = lost and "timed out" in why


def check_uri(uri: str) -> None:
    """Raises ConfigError."""
    if not uri.lower().startswith(SCHEMES) or len(uri.partition("://")[2]) == 0:
        raise ConfigError(f"'{uri}' is no ldap://, ldaps:// or ldapi:// address", key="ldap_uris")
    try:
        ldap3.Server(uri, get_info=ldap3.NONE)
    except (LDAPException, ValueError) as error:
        raise ConfigError(f"'{uri}': {error}", key="ldap_uris") from None


def check_filter(text: str, key: str) -> None:
    """The grammar of a filter. Raises ConfigError."""
    try:
        parse_filter(text, None, False, False, None, False)
    except (LDAPException, ValueError, IndexError) as error:
        raise ConfigError(f"the filter is broken: {error}", key=key) from None


class Connection:
    """Open from the beginning. Raises LdapError, everywhere."""

    def __init__(self, uri: str, settings: LdapSettings) -> None:
        self._settings = settings
        secs = max(1, -(-settings.ldap_request_timeout_msecs // 1000))
        server = ldap3.Server(
            uri, get_info=ldap3.NONE, connect_timeout=settings.ldap_connect_timeout_secs, tls=_tls(uri, settings)
        )
        self._connection: Any = ldap3.Connection(
            server,
            version=settings.ldap_version,
            client_strategy=ldap3.SYNC,
            auto_bind=ldap3.AUTO_BIND_NONE,
            receive_timeout=secs,
            auto_referrals=False,
            auto_range=False,
            auto_encode=False,
            auto_escape=False,
            check_names=False,
            raise_exceptions=False,
            read_only=True,
        )
        try:
            self._connection.open(read_server_info=False)
            encrypt = settings.ldap_starttls and uri.lower().startswith("ldap://")
            if encrypt and not self._connection.start_tls(read_server_info=False):
                raise LdapError(f"STARTTLS failed: {_result(self._connection.result)[1]}", lost=True)
        except (LDAPException, OSError, ValueError) as error:
            self.close()
            raise LdapError(_text(error), lost=True) from None
        except LdapError:
            self.close()
            raise

    def bind(self, dn: str, password: bytes) -> tuple[int, str]:
        """As this user; the result's code and the server's text."""
        if not dn or not password:
            raise LdapError("a bind without a name or without a password is not made")
        connection = self._connection
        connection.authentication, connection.user, connection.password = ldap3.SIMPLE, dn, password
        try:
            connection.bind(read_server_info=False)
            return _result(connection.result)
        except (LDAPException, OSError, ValueError) as error:
            raise LdapError(_text(error), lost=True) from None
        finally:
            connection.password = None

    def search(self, base: str, text: str, scope: str, attributes: Sequence[str], limit: int) -> list[Answer]:
        """At most ``limit`` entries."""
        self._ask(base, text, scope, attributes, size_limit=limit)
        return self._answers()

    def pages(self, base: str, text: str, attributes: Sequence[str]) -> Iterator[list[Answer]]:
        """All entries, some at a time."""
        cookie: bytes | None = None
        while True:
            size = self._settings.ldap_page_size
            self._ask(base, text, self._settings.ldap_scope, attributes, paged_size=size, paged_cookie=cookie)
            yield self._answers()
            controls = self._connection.result.get("controls") or {}
            cookie = controls.get(PAGES, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def close(self) -> None:
        try:
            self._connection.strategy.close()  # no unbind: it would wait
        except (LDAPException, OSError, AttributeError):
            pass

    def _ask(self, base: str, text: str, scope: str, attributes: Sequence[str], **more: Any) -> None:
        connection = self._connection
        seconds = -(-self._settings.ldap_request_timeout_msecs // 1000)
        try:
            connection.search(
                base,
                text,
                search_scope=SCOPES[scope],
                dereference_aliases=DEREFERENCE[self._settings.ldap_deref],
                attributes=list(attributes) or [ldap3.NO_ATTRIBUTES],
                time_limit=seconds,
                auto_escape=False,
                **more,
            )
        except (LDAPException, OSError, ValueError) as error:
            raise LdapError(_text(error), lost=True) from None
        code, why = _result(connection.result)
        if code not in (SUCCESS, SIZE_LIMIT):
            raise LdapError(f"ldap_search({base}) failed: {why}", code=code, lost=code in (51, 52, 80))

    def _answers(self) -> list[Answer]:
        found = []
        for one in self._connection.response or ():
            if one.get("type") == "searchResEntry":
                attributes = {name.lower(): tuple(values) for name, values in one["raw_attributes"].items()}
                found.append(Answer(one["dn"], attributes))
        return found


def _tls(uri: str, settings: LdapSettings) -> Any:
    if not (uri.lower().startswith("ldaps://") or settings.ldap_starttls):
        return None
    host = uri.partition("://")[2].partition("/")[0].rpartition(":")[0] or uri.partition("://")[2].partition("/")[0]
    try:
        return ldap3.Tls(
            validate=ssl.CERT_REQUIRED if settings.ssl_client_require_valid_cert else ssl.CERT_NONE,
            ca_certs_file=settings.ssl_client_ca_file or None,
            ca_certs_path=settings.ssl_client_ca_dir or None,
            local_certificate_file=settings.ssl_client_cert_file or None,
            local_private_key_file=settings.ssl_client_key_file or None,
            sni=host.strip("[]"),
        )
    except (LDAPException, OSError) as error:
        raise LdapError(_text(error), lost=True) from None


def _result(result: Any) -> tuple[int, str]:
    result = result or {}
    text = str(result.get("description", ""))
    message = str(result.get("message") or "")
    return int(result.get("result", -1)), f"{text} ({message[:200]})" if message else text


def _text(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300] or type(error).__name__
