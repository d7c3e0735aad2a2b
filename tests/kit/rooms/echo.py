"""A room that answers lines, and does on request what a room should not do."""

from __future__ import annotations

import os
import sys

from roost.settings.schema import ImapSettings
from tests.kit.rooms.frame import Child, log


def line(child: Child, text: str) -> str:
    verb, _, rest = text.partition(" ")
    if verb == "PID":
        return str(os.getpid())
    if verb == "IDS":
        return f"{os.getuid()} {os.getgid()} {sorted(os.getgroups())}"
    if verb == "FDS":
        return " ".join(sorted(os.listdir("/proc/self/fd"), key=int))
    if verb == "INHERITABLE":
        return " ".join("inheritable" for fd in (5, 6, 9) if os.get_inheritable(fd))
    if verb == "ROOT":
        return " ".join(os.listdir("/"))
    if verb == "REGAIN":
        try:
            os.setuid(0)
        except PermissionError:
            return "refused"
        return "root again"
    if verb == "ENV":
        return os.environ.get(rest, "unset")
    if verb == "ARGV":
        return " ".join(sys.orig_argv)
    if verb == "LISTENERS":
        return " ".join(f"{i.fd}:{i.kind}:{i.name}:{i.type}:{i.ssl}" for i in child.context.listeners)
    if verb == "GREETING":
        return child.context.config.section(ImapSettings).login_greeting
    if verb == "LOG":
        log(rest[:1], rest[2:])
    elif verb == "STDERR":
        print(rest, file=sys.stderr, flush=True)
    elif verb == "FLOOD":
        for number in range(int(rest)):
            log("I", f"imap: flood {number}")
        raise RuntimeError("after the flood")
    elif verb == "CRASH":
        raise RuntimeError(rest)
    elif verb == "EAT":
        eaten = bytearray(int(rest) << 20)
        return f"echo {len(eaten)}"
    elif verb == "EXIT":
        os._exit(int(rest))
    return f"echo {text}"
