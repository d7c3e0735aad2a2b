"""The lmtp room."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import BOOL, BOOLLIST, ENUM, SECS, STR, TEMPLATE, UINT, setting


@dataclass(frozen=True)
class LmtpSettings:
    """Read by the lmtp room."""

    deliver_log_format: str = setting("msgid=%{msgid}: %{message}", type=TEMPLATE, text="Form of the log line.")
    lda_mailbox_autocreate: bool = setting(False, type=BOOL, text="Make a missing mailbox at delivery.")
    lda_mailbox_autosubscribe: bool = setting(False, type=BOOL, text="Subscribe a mailbox made by delivery.")
    lmtp_add_received_header: bool = setting(True, type=BOOL, text="Put a Received line before delivered mail.")
    lmtp_client_workarounds: tuple[str, ...] = setting(
        (),
        type=BOOLLIST,
        choices=("whitespace-before-path", "mailbox-for-path"),
        text="Forms of MAIL and RCPT outside the standard that are taken.",
    )
    lmtp_hdr_delivery_address: str = setting(
        "final", type=ENUM, choices=("final", "none", "original"), text="Which address Delivered-To shows."
    )
    lmtp_max_errors: int = setting(
        20, type=UINT, low=1, unit="commands", text="A client that makes so many mistakes is disconnected."
    )
    lmtp_max_line_octets: int = setting(
        4096, type=UINT, key="lmtp_max_line_length", low=512, unit="octets", text="Longest command line."
    )
    lmtp_max_recipients: int = setting(1000, type=UINT, low=1, unit="recipients", text="Recipients of one message.")
    lmtp_save_to_detail_mailbox: bool = setting(
        False, type=BOOL, text="Deliver user+detail to the mailbox of that name, if it exists."
    )
    lmtp_timeout_secs: int = setting(300, type=SECS, low=1, text="A client that sends nothing is disconnected.")
    lmtp_user_concurrency_limit: int = setting(
        10,
        type=UINT,
        unlimited=0,
        unit="deliveries",
        text="Deliveries to one user at once; 0 = any number.",
    )
    lmtp_verbose_replies: bool = setting(False, type=BOOL, text="Tell the client the cause of internal failures.")
    lmtp_write_timeout_secs: int = setting(
        300, type=SECS, low=1, text="A client that takes none of its answers for this time is disconnected."
    )
    quota_full_tempfail: bool = setting(
        False, type=BOOL, text="Over quota: let the sender try again later (452) instead of returning the mail (552)."
    )
    recipient_delimiter: str = setting("+", type=STR, text='Characters that begin the detail of an address; "" = none.')
