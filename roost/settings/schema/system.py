"""The drivers that ask the operating system: pam and passwd."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import BOOL, STR, TEMPLATE, UINT, setting


@dataclass(frozen=True, kw_only=True)
class PassdbPamSettings:
    """Of a passdb."""

    pam_conf_dir: str = setting(
        "", type=STR, key="passdb_pam_conf_dir", text='pam: folder of the service files; "" = the system\'s.'
    )
    pam_failure_show_msg: bool = setting(
        False, type=BOOL, key="passdb_pam_failure_show_msg", text="pam: tell the client what the modules say."
    )
    pam_max_requests: int = setting(
        100,
        type=UINT,
        unlimited=0,
        key="passdb_pam_max_requests",
        unit="requests",
        text="pam: an auth-worker is replaced after so many requests, for modules that leak; 0 = never.",
    )
    pam_service_name: str = setting(
        "dovecot", type=TEMPLATE, key="passdb_pam_service_name", text="pam: name of the service file."
    )
    pam_session: bool = setting(
        False, type=BOOL, key="passdb_pam_session", text="pam: open a session after the login, and close it at once."
    )
    pam_setcred: bool = setting(False, type=BOOL, key="passdb_pam_setcred", text="pam: establish credentials.")


@dataclass(frozen=True, kw_only=True)
class UserdbPasswdSettings:
    """Of a userdb."""

    first_valid_uid: int = setting(
        500, type=UINT, key="first_valid_uid", text="passwd: users with a lower uid are not listed."
    )
    last_valid_uid: int = setting(
        0,
        type=UINT,
        unlimited=0,
        key="last_valid_uid",
        text="passwd: users with a higher uid are not listed; 0 = no limit.",
    )
