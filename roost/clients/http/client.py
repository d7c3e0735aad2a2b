"""The HTTP client: one call, any number at once, never an exception for what the network or a server does.

A request is tried, redirected and retried as the settings say and ends as a Response; see docs/http-client.md. It costs
no task and no timer of its own: the caller's coroutine waits for one future, deadlines stand in lanes.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from roost.clients.http.call import Call
from roost.clients.http.connect import Connector
from roost.clients.http.dns import Resolver
from roost.clients.http.exchange import Exchange, Failure
from roost.clients.http.lanes import Lanes
from roost.clients.http.message import (
    ABORTED,
    CONNECT_FAILED,
    INVALID_REDIRECT,
    INVALID_URL,
    DateHeader,
    Request,
    Response,
    format_head,
)
from roost.clients.http.pool import Pool
from roost.clients.http.routes import Routes
from roost.clients.http.tls import TlsSettingError
from roost.clients.http.url import BadUrl, Url, join_url, parse_url
from roost.events.log import Log
from roost.net.http.response import Reply

if TYPE_CHECKING:
    from roost.clients.http.connection import HttpConnection
    from roost.clients.http.settings import HttpSettings

MAX_POOLS: Final = 256  # beyond, those of servers nobody talks to are forgotten
FREE_RESENDS: Final = 3  # of a request whose kept connection turned out to be closed; not an attempt
SAFE_TO_RESEND: Final = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")  # idempotent, RFC 9110 §9.2.2


class HttpClient:
    """All methods on one loop's thread. The client may be made before the loop runs."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, settings: HttpSettings, log: Log) -> None:
        self.settings = settings
        self.log = log
        self._pools: dict[tuple[str, str, int], Pool] = {}
        self._started = False
        self._closed = False
        self._date = DateHeader()
        self._user_agent = settings.user_agent.encode("utf-8", "surrogateescape")

    def _start(self) -> None:
        self._started = True
        self.loop = asyncio.get_running_loop()
        self.attempts: Lanes[Exchange] = Lanes(self.loop, _attempt_late)
        self.continues: Lanes[Exchange] = Lanes(self.loop, _continue_late)
        self.idle: Lanes[HttpConnection] = Lanes(self.loop, _idle_late)
        self._whole: Lanes[Call] = Lanes(self.loop, _whole_late)
        self._resolver = Resolver(self.loop, self.settings.dns_ttl_msecs, self.settings.dns_client_timeout_msecs)
        self._routes = Routes(self.settings)

    @property
    def quiet(self) -> bool:
        """Nothing is under way and no connection is open: it may be dropped without ``close``."""
        return not any(pool.busy for pool in self._pools.values())

    async def request(self, request: Request) -> Response:
        """Ask and return the answer, or what went wrong (status 9000 and above)."""
        if self._closed:
            return Response(ABORTED, "Aborted")
        if not self._started:
            self._start()
        url = request.url
        if isinstance(url, str):
            try:
                url = parse_url(url)
            except BadUrl as error:
                return Response(INVALID_URL, f"Invalid HTTP URL: {error}")
        call = Call(request, url, self.settings, self.loop.time())
        whole = self.settings.request_absolute_timeout_msecs
        if whole:
            self._whole.enter(whole, call)
        try:  # no coroutine below this one: each of thousands that wait is woken through all of its own
            while True:
                try:
                    pool = self._pool(call.url)
                except TlsSettingError as error:
                    return Response(CONNECT_FAILED, str(error))
                exchange = self._begin(call, pool)
                try:
                    outcome = await exchange.done
                except asyncio.CancelledError:
                    pool.withdraw(exchange)
                    raise
                finally:
                    call.exchange = None
                    if exchange.sent_at:
                        call.sent(exchange.sent_at)
                if isinstance(outcome, Failure):
                    if not self._again(call, outcome):
                        return self._failed(call, outcome)
                    continue
                decided = self._judge(call, outcome)
                if isinstance(decided, Response):
                    return decided
                if decided > 0 and not await self._pause(call, decided):
                    return self._failed(call, call.too_late(self.loop.time()))
        finally:
            if whole:
                self._whole.leave(whole, call)

    async def close(self) -> None:
        """End all connections; requests under way end with status 9000."""
        self._closed = True
        if not self._started:
            return
        tasks = []
        for pool in self._pools.values():
            tasks += pool.tasks
            pool.close()
        self._pools.clear()
        self._resolver.close()
        for lanes in (self.attempts, self.continues, self.idle, self._whole):
            lanes.close()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    # --- one request ---

    def _begin(self, call: Call, pool: Pool) -> Exchange:
        """One attempt, on its way or in the pool's queue."""
        request, route = call.request, pool.connector.route
        body = call.body
        hold = call.sync and bool(body)
        head = format_head(
            request,
            call.url,
            call.method,
            date=self._date.at(time.time()),
            user_agent=self._user_agent,
            body_octets=-1 if body is None else len(body),
            expect=hold,
            proxy=self._routes.authorization if route.forwards else None,
            same_origin=call.same_origin,
        )
        exchange = Exchange(
            call.method.encode(), head, body or b"", call.timeout_msecs, self.loop.create_future(), hold=hold
        )
        call.exchange, call.pool = exchange, pool
        pool.submit(exchange)
        return exchange

    def _again(self, call: Call, failure: Failure) -> bool:
        if failure.untouched and call.resends < FREE_RESENDS and call.method in SAFE_TO_RESEND:
            call.resends += 1
            return True
        return failure.again and self.settings.auto_retry and call.next_attempt()

    def _failed(self, call: Call, failure: Failure) -> Response:
        if self.log.debugging:
            self.log.debug(f"http-client: {call.label}: {failure.status} {failure.reason}")
        return Response(failure.status, failure.reason)

    def _judge(self, call: Call, reply: Reply) -> Response | float:
        """The final response, or seconds to wait before the next attempt that ``call`` was prepared for."""
        status = reply.status
        if status >= 300:
            response = Response(status, reply.reason.decode("latin-1"), reply.headers, reply.body)
            if status // 100 == 3 and status != 304 and self.settings.auto_redirect:
                location = response.header("location")
                delay = self._delay(call, response)
                if location and (delay is None or delay >= 0):
                    refused = self._redirect(call, status, location)
                    return delay or 0 if refused is None else self._failed(call, refused)
            elif status == 417 and call.sync:
                call.sync = False
                if call.next_attempt():
                    return 0
            elif status == 503:
                delay = self._delay(call, response)
                if delay is not None and delay >= 0 and call.next_attempt():
                    return delay
            elif status == 408 and call.next_attempt():
                return 0
            return response
        return Response(status, reply.reason.decode("latin-1"), reply.headers, reply.body)

    def _redirect(self, call: Call, status: int, location: str) -> Failure | None:
        try:
            url = join_url(call.url, location)
        except BadUrl as error:
            return Failure(INVALID_REDIRECT, f"Invalid redirect location: {error}")
        limit = self.settings.request_max_redirects
        if call.redirects >= limit:
            return Failure(INVALID_REDIRECT, f"Redirected more than {limit} times" if limit else "Redirect refused")
        if call.url.scheme == "https" and url.scheme != "https":
            return Failure(INVALID_REDIRECT, "Invalid redirect location: https leads to http")
        call.redirect(url, drop_body=status == 303)
        return None

    def _delay(self, call: Call, response: Response) -> float | None:
        """Seconds of Retry-After; -1 when longer than allowed, None when it is absent or no time."""
        text = response.header("retry-after")
        try:
            secs = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
        most = self.settings.max_auto_retry_delay_secs or call.timeout_msecs / 1000
        return -1 if secs > most else max(secs, 0)

    async def _pause(self, call: Call, secs: float) -> bool:
        """Wait before the next attempt; False when the whole request's time ended."""
        whole = self.settings.request_absolute_timeout_msecs
        if whole:
            secs = min(secs, max(call.since + whole / 1000 - self.loop.time(), 0))
        await asyncio.sleep(secs)
        return not call.late and not (whole and self.loop.time() >= call.since + whole / 1000)

    def _pool(self, url: Url) -> Pool:
        """Raises TlsSettingError."""
        key = (url.scheme, url.host, url.port)
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                for old in [key for key, pool in self._pools.items() if pool.quiet]:
                    del self._pools[old]
            route = self._routes.to(url)
            pool = self._pools[key] = Pool(self, Connector(route, self.settings, self._resolver))
        return pool


def _attempt_late(exchange: Exchange) -> None:
    if exchange.connection is not None:
        exchange.connection.timed_out()


def _continue_late(exchange: Exchange) -> None:
    if exchange.connection is not None:
        exchange.connection.go_on(exchange)


def _idle_late(connection: HttpConnection) -> None:
    connection.close()


def _whole_late(call: Call) -> None:
    call.late = True
    exchange, pool = call.exchange, call.pool
    if exchange is not None and pool is not None and not exchange.done.done():
        if exchange.sent_at:
            call.sent(exchange.sent_at)
        failure = call.too_late(pool.loop.time())
        pool.withdraw(exchange)
        exchange.end(failure)
