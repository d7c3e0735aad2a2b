"""What all IMAP sessions of one process share: settings, the store, the services it talks to."""

from __future__ import annotations

import copy
import ipaddress
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from roost.clients.auth import AuthOk, BindingData, Exchange
from roost.events.log import Log
from roost.imap import replies
from roost.mime.parts import Limits
from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.imap import ImapSettings
from roost.settings.schema.mail import MailSettings
from roost.settings.schema.ssl import SslSettings
from roost.settings.variables import expand
from roost.storage.api import Backend, ConnInfo, Identity, Update, User
from roost.util.secret import Secret
from services.imap.capabilities import CAPABILITIES, When
from services.imap.logline import LoginLine, compiled

REPEAT_SECS = 10.0
MAX_REMEMBERED_COMPLAINTS = 1000
EXTERNAL = "EXTERNAL"

LOGIN_NAMES = (
    "user",
    "mechanism",
    "remote_ip",
    "local_ip",
    "remote_port",
    "local_port",
    "mail_pid",
    "secured",
    "ssl_security",
    "session",
    "protocol",
    "service",
)
"""Variables of the login line, in the order of their values."""

LOGOUT_NAMES = (
    "user",
    "session",
    "input",
    "output",
    "deleted",
    "expunged",
    "trashed",
    "autoexpunged",
    "appended",
    "fetch_hdr_count",
    "fetch_hdr_bytes",
    "fetch_body_count",
    "fetch_body_bytes",
)
"""Variables of ``imap_logout_format``, likewise."""


Settings = tuple[ImapSettings, MailSettings, AuthSettings, SslSettings]


class Auth(Protocol):
    """The part of ``roost.clients.auth.AuthClient`` that sessions use."""

    mechanisms: Mapping[str, frozenset[str]]

    async def login(self, user: str, password: Secret, conn: ConnInfo) -> AuthOk: ...

    def begin(
        self, mechanism: str, conn: ConnInfo, initial: bytes | None, binding: BindingData | None = None
    ) -> Exchange: ...


class Anvil(Protocol):
    """The part of the anvil client that sessions use."""

    async def connect(
        self, session_id: str, user: str, service: str, remote_ip: str, *, limit: int | None = None
    ) -> int: ...

    def disconnect(self, session_id: str) -> None: ...


class Hooks(Protocol):
    """The part of ``roost.clients.mail_hooks.MailHooks`` that sessions use."""

    async def begin(self, user: User, identity: Identity, conn: ConnInfo) -> Any: ...

    async def end(self, script: Any) -> None: ...

    async def close(self) -> None: ...


class Shared:
    """See the head of this file. Made once by ``main.start`` (or by a test)."""

    def __init__(
        self,
        *,
        backend: Backend,
        auth: Auth,
        anvil: Anvil | None,
        watch: Callable[[str, Callable[[Update], None]], Callable[[], None]],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        log: Log,
        imap: ImapSettings | None = None,
        mail: MailSettings | None = None,
        auth_settings: AuthSettings | None = None,
        ssl: SslSettings | None = None,
        tls_ready: bool = False,
        clock: Callable[[], float] = time.monotonic,
        on_user: Callable[[str, int], None] | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.backend = backend
        self.auth = auth
        self.anvil = anvil
        self.watch = watch
        self.hooks = hooks  # None: nothing is configured that wants to know of users
        self.spawn = spawn  # a background task whose failure is logged
        self.on_user = on_user  # a session of this user began (+1) or ended (-1): for the process title
        self.log = log
        self.login_log = log.child("imap-login: ")
        self.tls_ready = tls_ready  # a certificate is there: STARTTLS works
        self.clock = clock
        self.pid = str(os.getpid())  # for log lines
        self._said: dict[str, float] = {}  # complaint → when it may be repeated
        self._choose: Callable[[str, str], Settings] | None = None
        self._variants: dict[tuple[int, ...], Shared] = {}
        self._use(
            (imap or ImapSettings(), mail or MailSettings(), auth_settings or AuthSettings(), ssl or SslSettings())
        )

    def _use(self, settings: Settings) -> None:
        """Take settings and what is worked out from them."""
        self.imap, self.mail, self.auth_settings, self.ssl = settings
        self.mime_limits = Limits(self.mail.mime_max_depth, self.mail.mime_max_parts, self.mail.mime_max_header_octets)
        self.greeting = expand(self.imap.login_greeting, {})
        self.login_line = LoginLine(self.imap.login_log_format, self.imap.login_log_format_elements, LOGIN_NAMES)
        self.logout_line = compiled(self.imap.imap_logout_format, LOGOUT_NAMES)
        workarounds = self.imap.imap_client_workarounds
        self.delay_newmail = "delay-newmail" in workarounds
        self.extra_separator = "tb-extra-mailbox-sep" in workarounds
        self.lsub_flags = "tb-lsub-flags" in workarounds
        self._trusted = [ipaddress.ip_network(net, strict=False) for net in self.imap.login_trusted_networks]
        self._offered: Mapping[str, frozenset[str]] = {}  # the mechanisms that _texts name
        self._texts: dict[tuple[object, ...], bytes] = {}
        self._greetings: dict[bytes, bytes] = {}

    def choose_by(self, choose: Callable[[str, str], Settings]) -> None:
        """``choose(local_ip, remote_ip)``: settings that depend on the addresses (``local`` and ``remote`` filters).

        It must give the same objects for the same answer.
        """
        self._choose = choose

    def at(self, local_ip: str, remote_ip: str) -> Shared:
        """What sessions between these addresses share."""
        if self._choose is None:
            return self
        settings = self._choose(local_ip, remote_ip)
        key = tuple(map(id, settings))
        found = self._variants.get(key)
        if found is None:
            found = self
            if settings != (self.imap, self.mail, self.auth_settings, self.ssl):
                found = copy.copy(self)
                found._use(settings)
            self._variants[key] = found
        return found

    def complain(self, log: Log, level: str, text: str) -> None:
        """Log a failure; the same warning or error at most once in ``REPEAT_SECS``, whoever meets it."""
        if level == "debug":
            if log.debugging:
                log.debug(text)
            return
        now = self.clock()
        if now < self._said.get(text, 0.0):
            return
        if len(self._said) >= MAX_REMEMBERED_COMPLAINTS:
            self._said.clear()
        self._said[text] = now + REPEAT_SECS
        if level == "error":
            log.error(text)
        else:
            log.warning(text)

    @property
    def tls_required(self) -> bool:
        """Nobody logs in without TLS."""
        return self.ssl.ssl == "required"

    def cleartext_allowed(self, conn: ConnInfo) -> bool:
        """Passwords may cross this connection without TLS: set so, or the client is on this machine or trusted."""
        if self.tls_required:
            return False
        if self.auth_settings.auth_allow_cleartext or not conn.remote_ip or conn.remote_ip == conn.local_ip:
            return True
        return self.is_trusted(conn.remote_ip)

    def is_trusted(self, remote_ip: str) -> bool:
        """Whether the client is in ``login_trusted_networks``."""
        if not self._trusted:
            return False
        try:
            address = ipaddress.ip_address(remote_ip)
        except ValueError:
            return False
        return any(address in net for net in self._trusted)

    def capability_text(
        self,
        logged_in: bool,
        secured: bool,
        plaintext: bool,
        append_limit: int | None,
        *,
        binds: bool = False,
        certified: bool = False,
    ) -> bytes:
        """The words of CAPABILITY for a connection in this state.

        ``binds``: TLS can give channel binding data; ``certified``: the client has shown a valid certificate.
        """
        if self.auth.mechanisms is not self._offered:  # a new connection to the auth service brings a new table
            self._offered = self.auth.mechanisms
            self._texts.clear()
        key = (logged_in, secured, plaintext, append_limit, binds, certified)
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) > 64:
                self._texts.clear()
            names = self.capability_names(logged_in, secured, plaintext, append_limit, binds=binds, certified=certified)
            text = self._texts[key] = b" ".join(names)
        return text

    def greeting_line(self, capabilities: bytes) -> bytes:
        """The first line for a client that is to log in."""
        line = self._greetings.get(capabilities)
        if line is None:
            if len(self._greetings) > 64:
                self._greetings.clear()
            line = replies.untagged(b"OK", self.greeting, b"CAPABILITY " + capabilities)
            self._greetings[capabilities] = line
        return line

    def capability_names(
        self,
        logged_in: bool,
        secured: bool,
        plaintext: bool,
        limit: int | None,
        *,
        binds: bool = False,
        certified: bool = False,
    ) -> list[bytes]:
        """The same, worked out."""
        features = self.backend.features
        shown = {
            When.ALWAYS: True,
            When.BEFORE_LOGIN: not logged_in,
            When.LOGGED_IN: logged_in,
            When.BEFORE_TLS: not logged_in and not secured and self.tls_ready,
            When.PLAINTEXT_REFUSED: not logged_in and not plaintext,
            When.CONDSTORE: logged_in and features.condstore,
            When.MOVE: logged_in and features.move,
            When.SPECIAL_USE: logged_in and features.special_use,
            When.APPEND_LIMIT: logged_in and limit is not None,
        }
        wanted = {name.upper() for name in self.imap.imap_capability}
        names = [name for name, when in CAPABILITIES if shown[when] and name.decode().upper() in wanted]
        if not logged_in:
            if secured or not self.tls_required:
                names += [b"AUTH=" + name.encode() for name in self.mechanisms(plaintext, binds, certified)]
        elif b"APPENDLIMIT" in names:
            names[names.index(b"APPENDLIMIT")] = b"APPENDLIMIT=%d" % (limit or 0)
        known = {name.decode().upper() for name, _ in CAPABILITIES}
        return names + [name.encode() for name in self.imap.imap_capability if name.upper() not in known]

    def mechanisms(self, plaintext: bool, binds: bool, certified: bool) -> list[str]:
        """SASL mechanisms offered: those that send passwords as they are only where that is allowed, those that need
        something of TLS only where it is there."""
        offered = self.auth.mechanisms.items()
        return [
            name
            for name, flags in offered
            if (plaintext or "plaintext" not in flags)
            and (binds or "channel-binding" not in flags)
            and (certified or name != EXTERNAL)
        ]
