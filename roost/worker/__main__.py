"""A child with ``spawn = exec``: ``python -I -m roost.worker`` takes its context from a descriptor the master left."""

from __future__ import annotations

import faulthandler
import sys

from roost.proc import handover
from roost.proc.contract import FD_LOG
from roost.worker.run import main

if __name__ == "__main__":
    faulthandler.enable(FD_LOG)
    sys.exit(main(handover.receive()))
