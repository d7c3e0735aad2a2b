"""The real master with test rooms: ``python -I -m tests.kit.launcher ROOM=MODULE … -- ROOST ARGUMENTS``.

``as=USER`` among the rooms: become that user first, with everything imported that its files may not be readable for.
"""

from __future__ import annotations

import importlib
import os
import pwd
import sys

from master.__main__ import main
from master.rooms import Rooms
from master.run import version

FRAME = "tests.kit.rooms.frame"


def become(name: str) -> None:
    entry = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    split = sys.argv.index("--")
    modules = dict(argument.split("=", 1) for argument in sys.argv[1:split])
    user = modules.pop("as", "")
    if user:
        for module in (FRAME, *modules.values()):
            importlib.import_module(module)
        version()
        become(user)
    rooms = Rooms(modules=modules, frame=FRAME, exec_module=FRAME)
    sys.exit(main(sys.argv[split + 1 :], rooms))
