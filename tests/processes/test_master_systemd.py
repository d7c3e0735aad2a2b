"""The units: as hardened as they claim, and in step with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_exposure_is_low() -> None:
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=40", str(SYSTEMD / "roost.service")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert found, ran.stdout + ran.stderr
    assert float(found[1]) < 4


def test_the_unit_agrees_with_the_master() -> None:
    unit = (SYSTEMD / "roost.service").read_text()
    assert "Type=notify\n" in unit
    assert "ExecStart=/opt/roost/bin/roost -F\n" in unit
    assert "ExecReload=/opt/roost/bin/roost reload\n" in unit
    assert "RestartPreventExitStatus=64 78\n" in unit
    # The master stops within this: FRONT_SECS + BACK_SECS and some patience.
    from master.stopping import BACK_SECS, FRONT_SECS

    stop = re.search(r"TimeoutStopSec=(\d+)", unit)
    assert stop and float(stop[1]) > 2 * (FRONT_SECS + BACK_SECS)


def test_the_socket_unit_opens_the_default_ports() -> None:
    from roost.settings.schema.services import DEFAULTS

    ports = set(re.findall(r"inet_listener imaps? \{\s+port = (\d+)", DEFAULTS))
    assert ports == {"143", "993"}
    listened = re.findall(r"^ListenStream=.*:(\d+)$", (SYSTEMD / "roost.socket").read_text(), re.M)
    assert set(listened) == ports
