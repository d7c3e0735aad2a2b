"""The policy server (weakforced's protocol): asked before and after an authentication, told how it ended.

An answer below 0 refuses, 0 accepts, n above 0 makes the client wait n seconds (at most MAX_TARPIT_SECS). A server that
does not answer, or not sensibly, is an error on the log and accepts, unless ``auth_policy_reject_on_fail``. The
password is told as a few bits of a hash only. Reports are sent beside the login, which does not wait for them; they are
bounded by the HTTP client's queue.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

from roost.auth.api import Query
from roost.clients.http.message import BadRequest, Request, Response
from roost.clients.http.url import BadUrl, parse_url
from roost.errors import ConfigError
from roost.events.log import sanitize
from roost.settings.schema.policy import AuthPolicySettings
from roost.settings.variables import check, expand, variables_of
from roost.util.secret import Secret
from services.auth.journal import Journal

MAX_TARPIT_SECS: Final = 120
MAX_STATUS: Final = 10**9
ALLOW, REPORT = "allow", "report"
REFUSED = "Authentication failure due to policy server refusal"
_surrogate = re.compile("[\ud800-\udfff]")


class Asker(Protocol):
    """What is used of ``roost.clients.http.client.HttpClient``."""

    async def request(self, request: Request) -> Response: ...

    async def close(self) -> None: ...


class Policy:
    """One a process. ``spawn`` runs reports beside the logins."""

    def __init__(
        self,
        settings: AuthPolicySettings,
        asker: Asker,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """Raises ConfigError."""
        if not settings.auth_policy_hash_nonce:
            raise ConfigError(
                "auth_policy_hash_nonce must be set when policy server is used", key="auth_policy_hash_nonce"
            )
        self.settings = settings
        self._asker = asker
        self._spawn = spawn
        self._ending = asyncio.Event()
        url = settings.auth_policy_server_url
        self._url = url + ("command=" if url.endswith("&") else "?command=")
        name, colon, value = settings.auth_policy_server_api_header.partition(":")
        header = (name.strip(), value.strip()) if colon else ("X-API-Key", name.strip())
        self._headers: dict[str, str | bytes] = {"Content-Type": "application/json"}
        if header[1]:
            self._headers[header[0]] = header[1]
        self._templates: list[tuple[list[str], str]] = []
        needed: set[str] = set()
        for key, template in sorted(settings.auth_policy_request_attributes.items()):
            check(template)
            needed |= variables_of(template)
            self._templates.append((key.split("/"), template))
        self.needed = frozenset(needed)
        try:
            parse_url(self._url + ALLOW)
            Request("POST", self._url + ALLOW, self._headers)
        except (BadUrl, BadRequest) as error:
            raise ConfigError(str(error), key="auth_policy_server_url") from None

    async def sleep(self, secs: float) -> None:
        """A client waits, but not longer than this process has."""
        try:
            async with asyncio.timeout(secs):
                await self._ending.wait()
        except TimeoutError:
            pass

    def end(self) -> None:
        """Nobody is to wait any more."""
        self._ending.set()

    async def close(self) -> None:
        await self._asker.close()

    def body(self, variables: Mapping[str, str], more: Mapping[str, bool]) -> bytes:
        """The JSON of a request. Raises ConfigError (an unknown variable)."""
        root: dict[str, Any] = {}
        for path, template in self._templates:
            place = root
            for name in path[:-1]:
                inner = place.setdefault(name, {})
                place = inner if isinstance(inner, dict) else place
            place[path[-1]] = _surrogate.sub("\ufffd", expand(template, variables))
        return json.dumps({**root, **more}).encode()

    def password_hash(self, user: str, password: bytes) -> str:
        """The first bits of the hash, as hex digits, filled up with zeros in front."""
        settings = self.settings
        hashed = hashlib.new(settings.auth_policy_hash_mech.replace("-", "_"), usedforsecurity=False)
        hashed.update(settings.auth_policy_hash_nonce.encode("utf-8", "surrogateescape"))
        hashed.update(user.encode("utf-8", "surrogateescape") + b"\0" + password)
        digest = hashed.digest()
        bits = settings.auth_policy_hash_truncate
        if not 0 < bits < 8 * len(digest):
            return digest.hex()
        octets = (bits + 7) // 8
        return f"{int.from_bytes(digest[:octets], 'big') >> (8 * octets - bits):0{2 * octets}x}"

    async def ask(self, body: bytes, journal: Journal) -> tuple[int, str]:
        """Status and message of ``allow``. Never raises."""
        response = await self._post(ALLOW, body)
        failure = ""
        if response.status // 100 != 2:
            failure = f"Policy server HTTP error: {response.status} {response.reason[:200]}"
        else:
            try:
                return _read(response.body)
            except ValueError as error:
                failure = str(error)
        journal.error("", failure)
        return (-1, "the policy server failed") if self.settings.auth_policy_reject_on_fail else (0, "")

    def report(self, body: bytes, journal: Journal) -> None:
        self._spawn(self._report(body, journal))

    async def _report(self, body: bytes, journal: Journal) -> None:
        response = await self._post(REPORT, body)
        if response.status // 100 != 2:
            journal.error("", f"Policy server HTTP error: {response.status} {response.reason[:200]}")

    async def _post(self, command: str, body: bytes) -> Response:
        return await self._asker.request(Request("POST", self._url + command, self._headers, body))


def _read(body: bytes) -> tuple[int, str]:
    """Status and message of an answer. Raises ValueError with a line for the log."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("Policy server response is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("Policy server response is not a JSON object")
    status, message = answer.get("status"), answer.get("msg")
    if isinstance(status, bool) or not isinstance(status, int | float) or status != status:
        raise ValueError("Policy server response is missing status field")
    return int(max(-1, min(status, MAX_STATUS))), sanitize(message[:200]) if isinstance(message, str) else ""


class Attempt:
    """One authentication, as the policy server sees it."""

    def __init__(self, policy: Policy, query: Query, password: Secret | None, journal: Journal) -> None:
        """``password``: None when the mechanism does not show it."""
        self._policy = policy
        self._journal = journal
        self.refused = False
        self.waited_secs = 0
        login = query.login_user or query.user
        parameters = query.parameters
        self._tls = parameters["secured"] != "no" if "secured" in parameters else False
        self._no_tarpit = "no-penalty" in parameters
        self._variables = query.variables(policy.needed)
        self._variables["requested_username"] = login
        if "hashed_password" in policy.needed:
            self._variables["hashed_password"] = (
                policy.password_hash(login, password.reveal()) if password is not None else ""
            )

    async def before(self) -> bool:
        """Whether the password may be looked at."""
        if not self._policy.settings.auth_policy_check_before_auth:
            return True
        return await self._check(tarpit=True, fail_type="")

    async def after(self, *, ok: bool, fail_type: str) -> bool:
        """The authentication has ended; may it count? ``fail_type``: why it failed."""
        settings = self._policy.settings
        if settings.auth_policy_check_after_auth and not self.refused:
            await self._check(tarpit=not ok, fail_type=fail_type)
        if settings.auth_policy_report_after_auth:
            success = ok and not self.refused
            self._variables["fail_type"] = "policy" if self.refused else fail_type
            more = {"success": success, "policy_reject": self.refused, "tls": self._tls}
            self._policy.report(self._policy.body(self._variables, more), self._journal)
        return not self.refused

    async def _check(self, *, tarpit: bool, fail_type: str) -> bool:
        self._variables["fail_type"] = fail_type
        policy, journal = self._policy, self._journal
        status, message = await policy.ask(policy.body(self._variables, {"tls": self._tls}), journal)
        if journal.stepping:
            journal.step("", f"Policy server: status {status} {message}")
        if status < 0:
            text = f"{REFUSED}: {message}" if message else REFUSED
            if policy.settings.auth_policy_log_only:
                journal.note(f"{text} (not obeyed: auth_policy_log_only)")
                return True
            journal.failed("", text)
            self.refused = True
        elif status > 0 and policy.settings.auth_policy_log_only:
            journal.note(f"Policy server wants a delay of {status} secs (not obeyed: auth_policy_log_only)")
        elif status > 0 and tarpit and not self._no_tarpit:
            secs = min(status, MAX_TARPIT_SECS - self.waited_secs)
            self.waited_secs += secs
            await policy.sleep(secs)
        return not self.refused
