"""The doveadm command."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import SECS, setting


@dataclass(frozen=True)
class DoveadmSettings:
    """Read by the doveadm command."""

    doveadm_timeout_secs: int = setting(
        60, type=SECS, low=1, text="How long a doveadm command waits for a service's answer."
    )
