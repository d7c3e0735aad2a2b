"""The real master with the test drivers installed: ``python -I -m tests.kit.with_drivers FOLDER -- ROOST ARGUMENTS``.

FOLDER gets the entry points of ``tests.kit.awkward_driver``: a package like one that somebody else would install.
"""

from __future__ import annotations

import sys
from pathlib import Path

from master.__main__ import main

POINTS = """\
[roost.passdb]
awkward = tests.kit.awkward_driver:AwkwardPassdb
many = tests.kit.awkward_driver:ManyPassdb
plainly = tests.kit.awkward_driver:PlainlyPassdb
[roost.userdb]
awkward = tests.kit.awkward_driver:AwkwardUserdb
"""


def install(folder: Path) -> None:
    info = folder / "roost_awkward-0.1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roost-awkward\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(POINTS)


if __name__ == "__main__":
    place = sys.argv[1]
    install(Path(place))
    sys.path.insert(0, place)
    sys.exit(main(sys.argv[3:]))
