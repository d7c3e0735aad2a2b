"""One connection of the auth master protocol: user lookups and lists (sockets of type master and userdb).

A userdb socket that everybody may open (mode 0666) answers a stranger only about himself: USER succeeds when the
user's uid is the peer's, PASS and LIST are refused. Root, the socket's owner and its group are no strangers; mode 0777
switches the rule off.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from roost.errors import Malformed, RoostError, Unavailable
from roost.events.log import sanitize
from roost.ipc import auth as wire
from roost.ipc.lines import LineSplitter, to_text, unescape
from roost.net.connection import Connection, ConnectionLost
from roost.net.inline import run_inline
from roost.util.wildcard import matches
from services.auth.cache import Status
from services.auth.core import CODES
from services.auth.fields import visible
from services.auth.passdbs import Result
from services.auth.request import Success
from services.auth.userdbs import Found

if TYPE_CHECKING:
    import asyncio

    from services.auth.main import AuthRoom

ROOT_UID = 0
LIST_BATCH = 500
MAX_PID_DIGITS = 10
NO_CACHE = Status(0, 0, 0, 0, 0, 0, 0, 0)


class LookupConnection(Connection):
    """See the head of this file."""

    def __init__(self, room: AuthRoom, *, master: bool, socket_path: str) -> None:
        super().__init__(room.loop, room.log)
        self.room = room
        self._master = master
        self._socket_path = socket_path
        self._only_uid: int | None = None  # a stranger's uid
        self._minor = -1
        self._pending = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._splitter = LineSplitter(room.settings.auth_max_line_octets)

    # --- the frame's calls ---

    def ready(self) -> None:
        self.room.lookups.add(self)
        if not self._master:
            self._only_uid = self._stranger()
        self.write(wire.VERSION_LINE + b"SPID\t%d\n" % self.room.pid)

    def data(self, chunk: memoryview) -> None:
        try:
            for line in self._splitter.feed(chunk):
                self._line(line)
                if self.closing:
                    return
        except Malformed as error:
            self.log.error(f"BUG: {sanitize(error.detail or error.client_text)}")
            self.close()

    def lost(self, exc: BaseException | None) -> None:
        self.room.lookups.discard(self)
        for task in list(self._tasks):
            task.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resume_reading()

    def _stranger(self) -> int | None:
        """The peer's uid if it may ask only about itself."""
        credentials = self.credentials()
        if credentials is None:
            return -1
        try:
            status = os.stat(self._socket_path)
        except OSError:
            trusted = credentials.unix_uid in (ROOT_UID, os.geteuid())
            return None if trusted else credentials.unix_uid
        if status.st_mode & 0o777 != 0o666:
            return None
        if credentials.unix_uid in (ROOT_UID, status.st_uid) or credentials.unix_gid == status.st_gid:
            return None
        return credentials.unix_uid

    # --- lines ---

    def _line(self, line: bytes) -> None:
        """Raises Malformed for what ends the connection."""
        command, *arguments = line.split(b"\t")
        if self._minor < 0:
            if command == b"CPID":
                raise Malformed("Wrong socket.", detail="Authentication client connected to the master socket")
            if command != b"VERSION":
                raise Malformed("VERSION expected.", detail=f"VERSION expected, got {wire.shown_command(command)}")
            self._minor = wire.parse_version(arguments)
        elif command == b"USER":
            asked = wire.parse_lookup(arguments)
            self._run(asked.id, self._user(asked.id, asked.name, _with_service(asked.parameters)))
        elif command == b"PASS":
            asked = wire.parse_lookup(arguments)
            self._run(asked.id, self._pass(asked.id, asked.name, _with_service(asked.parameters)))
        elif command == b"LIST":
            asked = wire.parse_list(arguments)
            self._run(asked.id, self._list(asked.id, asked.name, asked.parameters))
        elif command == b"REQUEST" and self._master:
            self._request(arguments)
        elif command == b"CACHE-FLUSH" and self._master:
            self._flush(arguments)
        elif command == b"CACHE-STATUS" and self._master:
            self._status(arguments)
        elif command == b"CPID":
            raise Malformed("Wrong socket.", detail="Authentication client connected to the master socket")
        else:
            where = "master" if self._master else "userdb"
            raise Malformed(
                "Unknown command.", detail=f"Unknown command in {where} socket: {wire.shown_command(command)}"
            )

    def _run(self, request_id: int, work: Coroutine[Any, Any, None]) -> None:
        if self._pending >= self.room.settings.auth_max_requests:
            work.close()
            self.write(wire.fail_line(request_id, code=wire.TEMP_FAIL, reason="Too many requests"))
            return
        self._pending += 1
        task = run_inline(self.loop, self._guarded(request_id, work))
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.room.adopt(task)

    async def _guarded(self, request_id: int, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ConnectionLost:
            pass
        except Exception:
            self.log.exception("Lookup failed by an internal error")
            self.write(wire.fail_line(request_id, code=wire.TEMP_FAIL))
        finally:
            self._pending -= 1

    # --- commands ---

    async def _user(
        self,
        request_id: int,
        name: str,
        parameters: wire.Parameters,
        *,
        success: Success | None = None,
        token: str = "",
    ) -> None:
        if success is None:
            found = await self.room.core.userdb_lookup(name, parameters)
        else:
            found = await self.room.core.userdb_lookup(
                name,
                parameters,
                authenticated=True,
                passdb_fields=success.passdb_fields,
                master_user=success.master_user,
            )
        if found.result is Found.INTERNAL:
            self.write(wire.fail_line(request_id, code=wire.TEMP_FAIL))
            return
        if found.result is Found.UNKNOWN:
            self.write(wire.not_found_line(request_id))
            return
        if self._only_uid is not None and not self._is_peers(found.fields.get("uid", "")):
            self.log.error(
                f"userdb lookup of {sanitize(found.user[:64])} refused: the peer has uid {self._only_uid}, "
                f"the user uid {sanitize(found.fields.get('uid', '')[:20]) or 'unknown'} ({self._socket_path})"
            )
            self.write(wire.fail_line(request_id))
            return
        fields: dict[str, str] = dict(found.fields)
        fields.pop("user", None)
        if success is not None:
            fields["auth_mech"] = success.mechanism
            if success.original_user:
                fields["original_user"] = success.original_user
            if success.master_user:
                fields["master_user"] = fields["auth_user"] = success.master_user
            if success.anonymous:
                fields["anonymous"] = "yes"
            if local_name := success.parameters.get("local_name"):
                fields["local_name"] = local_name
            if token:
                fields["auth_token"] = token
        self.write(wire.found_line(b"USER", request_id, wire.fields_octets(fields), found.user))

    def _is_peers(self, uid: str) -> bool:
        if not uid.isdigit():
            import pwd

            try:
                return pwd.getpwnam(uid).pw_uid == self._only_uid
            except (KeyError, ValueError):
                return False
        return int(uid) == self._only_uid

    async def _pass(self, request_id: int, name: str, parameters: wire.Parameters) -> None:
        if self._only_uid is not None:
            self.log.error(f"PASS refused: the peer has uid {self._only_uid} ({self._socket_path})")
            self.write(wire.fail_line(request_id))
            return
        outcome = await self.room.core.passdb_lookup(name, parameters)
        if outcome.result is Result.OK:
            fields = {"user": outcome.user, **visible(outcome.fields)}
            self.write(wire.found_line(b"PASS", request_id, wire.fields_octets(fields)))
        elif outcome.result is Result.UNKNOWN:
            self.write(wire.not_found_line(request_id))
        else:
            code = CODES.get(outcome.result, "")
            self.write(wire.fail_line(request_id, code=code, reason=outcome.reason))

    async def _list(self, request_id: int, mask: str, parameters: wire.Parameters) -> None:
        if self._only_uid is not None:
            self.log.error(f"LIST refused: the peer has uid {self._only_uid} ({self._socket_path})")
            self.write(b"DONE\t%d\tfail\n" % request_id)
            return
        lines: list[bytes] = []
        try:
            async for name in self.room.core.users(parameters):
                if not mask or matches(mask, name):
                    lines.append(b"LIST\t%d%b\n" % (request_id, wire.field_octets(name, None)))
                if len(lines) >= LIST_BATCH:
                    self.write(b"".join(lines))
                    lines.clear()
                    await self.drained()
        except ConnectionLost:
            raise
        except RoostError as error:
            self.log.error(f"Listing users failed: {error.detail or error.client_text}")
            self.write(b"".join(lines) + b"DONE\t%d\tfail\n" % request_id)
            return
        self.write(b"".join(lines) + b"DONE\t%d\t\n" % request_id)

    def _flush(self, arguments: list[bytes]) -> None:
        """Users by wildcards, or all, leave the cache."""
        request_id = wire.parse_id(arguments[0] if arguments else b"")
        masks = [to_text(unescape(mask)) for mask in arguments[1:]]
        caching = self.room.caching
        self.write(b"OK\t%d\t%d\n" % (request_id, caching.cache.flush(masks) if caching is not None else 0))

    def _status(self, arguments: list[bytes]) -> None:
        request_id = wire.parse_id(arguments[0] if arguments else b"")
        caching = self.room.caching
        status = caching.cache.status(reset=b"reset" in arguments[1:]) if caching is not None else NO_CACHE
        fields: dict[str, str | None] = {name: str(number) for name, number in asdict(status).items()}
        self.write(b"OK\t%d%b\n" % (request_id, wire.fields_octets(fields)))

    def _request(self, arguments: list[bytes]) -> None:
        """A login process's success becomes the mail process's user, once."""
        if len(arguments) < 4 or not arguments[1].isdigit() or not arguments[2].isdigit():
            raise Malformed("REQUEST misses arguments.", detail="REQUEST misses arguments")
        request_id = wire.parse_id(arguments[0])
        client = self.room.by_cpid.get(int(arguments[1][:20]))
        success = (
            client.take_success(int(arguments[2][:20]), arguments[3].decode("ascii", "replace")) if client else None
        )
        if success is None:
            self.log.error(f"Master requested auth for nonexistent client or request {int(arguments[1][:20])}")
            self.write(wire.fail_line(request_id))
            return
        token = self._token(success, arguments[4:])
        self._run(request_id, self._user(request_id, success.user, success.parameters, success=success, token=token))

    def _token(self, success: Success, arguments: list[bytes]) -> str:
        """The token of a login if REQUEST wants one; without it when none can be made."""
        if b"request_auth_token" not in arguments:
            return ""
        pid = wire.parse_fields(arguments).get("session_pid", "")
        if not (pid.isascii() and pid.isdigit() and len(pid) <= MAX_PID_DIGITS):
            raise Malformed("REQUEST misses session_pid.", detail="request_auth_token without a session_pid")
        session = success.parameters.get("session", "")
        try:
            return self.room.tokens.token(
                success.user, session_pid=int(pid), session=session, service=success.parameters.service
            )
        except Unavailable as error:
            self.log.error(error.detail)
            return ""


def _with_service(parameters: wire.Parameters) -> wire.Parameters:
    """Raises Malformed when the request does not say for what service."""
    if not parameters.service:
        raise Malformed("Lookup misses protocol.", detail="lookup with neither protocol= nor service=")
    return parameters
