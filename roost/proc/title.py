"""Process titles: ``roost/imap [bob 192.0.2.7 IDLE]``. The only door to setproctitle.

A title is text of our own making plus what a peer may have chosen (a user name): control characters are replaced.
"""

from __future__ import annotations

import re

import setproctitle as _setproctitle

# It finds the space for titles through the environment as it was at the start: before anybody clears that.
_setproctitle.getproctitle()

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_CHARS = 200


def program_name(instance_name: str) -> str:
    """``roost``, or the instance's name, which always begins with ``roost``."""
    if not instance_name or instance_name == "roost":
        return "roost"
    return instance_name if instance_name.startswith("roost") else f"roost-{instance_name}"


def format_title(instance_name: str, service: str, state: str = "") -> str:
    """``roost/SERVICE`` with ``[state]`` when there is one."""
    title = f"{program_name(instance_name)}/{service}"
    if state:
        title += f" [{state}]"
    return _CONTROL.sub("?", title)[:MAX_CHARS]


def set_title(instance_name: str, service: str, state: str = "") -> None:
    """Show what this process is in ``ps``. Costs a few microseconds; throttle it where state changes often."""
    _setproctitle.setproctitle(format_title(instance_name, service, state))
