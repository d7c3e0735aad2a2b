"""Where logs go and how much is written."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import BOOL, ENUM, STR, setting

FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp"),
    *(f"local{number}" for number in range(8)),
)


@dataclass(frozen=True)
class LoggingSettings:
    """Log targets belong to the master; the verbosity settings may differ by protocol or address."""

    auth_debug: bool = setting(False, type=BOOL, text="Log every step of authentication (never passwords).")
    auth_verbose: bool = setting(False, type=BOOL, text="Log why an authentication failed.")
    auth_verbose_passwords: str = setting(
        "no",
        type=STR,
        text="With auth_verbose: show wrong passwords in the log: no, yes or plain, sha1 (their hash); :N behind it = "
        "at most N characters.",
    )
    debug_log_path: str = setting(
        "", type=STR, by_connection=False, text='Target of debug lines. "" = as info_log_path.'
    )
    info_log_path: str = setting(
        "", type=STR, by_connection=False, text='Target of informational lines. "" = as log_path.'
    )
    log_debug: str = setting(
        "", type=STR, text='Which debug lines are written: "" = none, yes = all, or names of services and categories.'
    )
    log_path: str = setting(
        "/dev/stderr", type=STR, by_connection=False, text="Target of the log: a file, /dev/stderr or syslog."
    )
    log_timestamp: str = setting(
        "%b %d %H:%M:%S ",
        type=STR,
        by_connection=False,
        text="strftime(3) format before each line in files and on stderr.",
    )
    mail_debug: bool = setting(False, type=BOOL, text="Log debug lines of mail processes.")
    syslog_facility: str = setting(
        "mail", type=ENUM, choices=FACILITIES, by_connection=False, text="Facility when the target is syslog."
    )
