"""The imap room, before and after login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roost.settings.fields import BOOLLIST, NETS, SECS, SIZE, STRLIST, TEMPLATE, UINT, setting

LOGIN_ELEMENTS = (
    "user=<%{user}> method=%{mechanism} rip=%{remote_ip} lip=%{local_ip} mpid=%{mail_pid} "
    "%{secured} session=<%{session}>"
)
LOGOUT_FORMAT = (
    "in=%{input} out=%{output} deleted=%{deleted} expunged=%{expunged} trashed=%{trashed} "
    "hdr_count=%{fetch_hdr_count} hdr_bytes=%{fetch_hdr_bytes} body_count=%{fetch_body_count} "
    "body_bytes=%{fetch_body_bytes}"
)
CAPABILITIES = (
    "IMAP4rev1",
    "SASL-IR",
    "LITERAL+",
    "ID",
    "ENABLE",
    "IDLE",
    "STARTTLS",
    "LOGINDISABLED",
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "MULTIAPPEND",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "CONDSTORE",
    "APPENDLIMIT",
)


@dataclass(frozen=True)
class ImapSettings:
    """Read by the imap room."""

    imap_autologout_secs: int = setting(
        1800, type=SECS, low=1, text="A logged-in client that sends nothing is disconnected (never inside IDLE)."
    )
    imap_capability: tuple[str, ...] = setting(
        CAPABILITIES,
        type=BOOLLIST,
        text="Capabilities that are shown where they apply; in block form, X = yes adds and X = no hides one.",
    )
    imap_client_workarounds: tuple[str, ...] = setting(
        (),
        type=BOOLLIST,
        choices=("delay-newmail", "tb-extra-mailbox-sep", "tb-lsub-flags"),
        text="Help for clients that expect other servers' habits.",
    )
    imap_first_command_timeout_secs: int = setting(
        60, type=SECS, low=1, text="A client that sends no command after connecting is disconnected."
    )
    imap_id_send: Mapping[str, str] = setting({"name": "Roost"}, type=STRLIST, text="What the ID command answers.")
    imap_idle_notify_interval_secs: int = setting(
        120, type=SECS, text="How often an IDLEing client is told that the server is still here; 0 = never."
    )
    imap_login_max_line_length: int = setting(8 << 10, type=SIZE, low=1024, text="Longest command line before login.")
    imap_login_timeout_secs: int = setting(180, type=SECS, low=1, text="Time a client has to log in.")
    imap_logout_format: str = setting(LOGOUT_FORMAT, type=TEMPLATE, text="Statistics logged when a client leaves.")
    imap_max_bad_commands: int = setting(
        20, type=UINT, low=1, unit="commands", text="A client that sends so many bad commands in a row is disconnected."
    )
    imap_max_bad_commands_before_login: int = setting(
        3, type=UINT, low=1, unit="commands", text="The same, before login."
    )
    imap_max_line_length: int = setting(64 << 10, type=SIZE, low=1024, text="Longest command line, literals left out.")
    imap_max_nesting: int = setting(
        50, type=UINT, low=5, high=200, unit="levels", text="Nesting of lists in a command."
    )
    imap_pipeline_limit: int = setting(
        4, type=UINT, low=1, unit="commands", text="Unfinished commands of one client that are worked on at once."
    )
    imap_write_timeout_secs: int = setting(
        300, type=SECS, low=1, text="A client that takes none of its answer for this time is disconnected."
    )
    login_greeting: str = setting("Roost ready.", type=TEMPLATE, text="Text of the greeting.")
    login_log_format: str = setting("%{message}: %{elements}", type=TEMPLATE, text="Form of the login log line.")
    login_log_format_elements: str = setting(
        LOGIN_ELEMENTS,
        type=TEMPLATE,
        text="Parts of the login log line; those with an empty value are left out.",
    )
    login_trusted_networks: tuple[str, ...] = setting(
        (),
        type=NETS,
        text="Clients that may send passwords without TLS and tell the real client's address; their failed logins have "
        "no penalty.",
    )
