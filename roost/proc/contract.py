"""THE master-child contract: what every child process inherits, reports and obeys.

File descriptors of a child (everything else is closed):

====  =======================================================================================================
0, 1  /dev/null
2     log pipe of this very process (write end); lines as below, anything else is raw stderr
5     status pipe (write end, non-blocking, shared by the processes of a service)
6     dead-master pipe (read end). End of file: the master is gone. A process that is already draining (QUIT)
      goes on draining; any other one stops as on TERM. The master never closes it on a reload.
7     only with ``spawn = exec``: the pickled ChildContext (``handover.py``)
9…    listeners, in configuration order
====  =======================================================================================================

**Status.** One ``STATUS`` record {pid, generation, available_count}: how many further connections this process
would accept now. The first one says READY (within FIRST_STATUS_SECS, or the process is killed). ``RETIRED`` means:
finishing the present clients only. A record at least every HEARTBEAT_SECS, changed or not; a process that was READY
and stays silent for HEARTBEAT_GRACE_SECS is killed. Pipe full (EAGAIN): drop the record, unless the number went
from or to 0; then try again. A worker also calls ``signal.alarm(SELF_WATCHDOG_SECS)`` with every record and leaves
SIGALRM at its default action, so the kernel ends a stuck worker even when no master is left to do it.

**Log.** ``LOG_MARK + level + text + b"\\n"`` in one write of at most LOG_LINE_MAX_OCTETS, text without LF. The text
carries its own prefix (``imap(user)<pid><session>: …``); the master adds the time and the level word.

**Signals.** TERM: stop now, politely (say BYE, flush, leave). QUIT: drain, no new clients, finish the present ones.
INT: exit if idle, else ignore and send a status record. HUP, USR1 and PIPE are ignored.

**Privileges.** The child starts with the master's rights and calls ``privileges.drop(child.privileges)`` after it has
read what only root may read (TLS keys) and before it accepts a client.

**Exit codes** are the EXIT_* constants; any other code or a signal is a crash. Ending before READY with anything but 0
throttles the service.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from roost.proc.privileges import Privileges

if TYPE_CHECKING:
    from roost.settings import Config
    from roost.settings.schema import ServiceSettings

FD_LOG = 2
FD_STATUS = 5
FD_DEAD_MASTER = 6
FD_HANDOVER = 7
FD_FIRST_LISTENER = 9

STATUS = struct.Struct("=iII")
"""pid, generation, available_count; atomic on a pipe."""
RETIRED = 0xFFFFFFFF

HEARTBEAT_SECS = 10
HEARTBEAT_GRACE_SECS = 3 * HEARTBEAT_SECS
FIRST_STATUS_SECS = 30
SELF_WATCHDOG_SECS = 6 * HEARTBEAT_SECS

LOG_MARK = b"\x01"
LOG_LEVELS = b"DIWEFP"
"""Debug Info Warning Error Fatal Panic."""
LOG_LINE_MAX_OCTETS = 4096
"""PIPE_BUF: a line of this size, mark, level and LF included, is never torn by another writer."""

EXIT_OK = 0
EXIT_CANNOT_BOOT = 3
EXIT_TEMPORARY = 75
EXIT_CONFIG = 78

ROOM_MODULES = {
    "imap": "services.imap.main",
    "lmtp": "services.lmtp.main",
    "auth": "services.auth.main",
    "auth-worker": "services.auth.workers.main",
    "anvil": "services.anvil.main",
    "notify": "services.notify.main",
}
"""Executable name → the module whose ``SERVICE`` is the room."""


@dataclass(frozen=True, slots=True)
class ListenerInfo:
    """One inherited listening socket (or FIFO)."""

    fd: int
    kind: Literal["unix", "inet", "fifo"]
    name: str
    type: str
    ssl: bool = False
    haproxy: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class ChildContext:
    """All a child is told at birth. Picklable: with ``spawn = exec`` it crosses an exec on FD_HANDOVER.

    ``module`` is the room's module (``ROOM_MODULES[service.executable]``, resolved by the master): import it and
    run its ``SERVICE``. ``generation`` identifies this process in its status records.
    """

    service: ServiceSettings
    config: Config
    listeners: tuple[ListenerInfo, ...]
    generation: int
    verbose_proctitle: bool
    module: str
    instance_name: str = "roost"
    privileges: Privileges = field(default_factory=Privileges)
