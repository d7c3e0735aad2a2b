"""The real master with test rooms: ``python -I -m tests.kit.launcher ROOM=MODULE … -- ROOST ARGUMENTS``."""

from __future__ import annotations

import sys

from master.__main__ import main
from master.rooms import Rooms

if __name__ == "__main__":
    split = sys.argv.index("--")
    modules = dict(argument.split("=", 1) for argument in sys.argv[1:split])
    rooms = Rooms(modules=modules, frame="tests.kit.rooms.frame", exec_module="tests.kit.rooms.frame")
    sys.exit(main(sys.argv[split + 1 :], rooms))
