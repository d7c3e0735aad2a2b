"""Settings of the whole instance: directories, protocols, limits that services inherit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roost.settings.fields import BOOL, BOOLLIST, NETS, SECS, SIZE, STR, STRLIST, UINT, setting

PROTOCOLS = ("imap", "lmtp")


@dataclass(frozen=True)
class MasterSettings:
    """What the master itself reads. None of it can differ by protocol or address."""

    base_dir: str = setting(
        "/run/roost",
        type=STR,
        by_connection=False,
        text="Runtime directory: sockets and the pid file. Absolute. Cannot change in a reload.",
    )
    default_client_limit: int = setting(
        1000,
        type=UINT,
        low=1,
        by_connection=False,
        unit="connections",
        text="client_limit of services that set none.",
    )
    default_idle_kill_interval_secs: int | None = setting(
        60,
        type=SECS,
        low=1,
        unlimited=None,
        by_connection=False,
        text="idle_kill_interval of services that set none.",
    )
    default_internal_group: str = setting(
        "roost", type=STR, by_connection=False, text="Group of unprivileged processes and of sockets they share."
    )
    default_internal_user: str = setting(
        "roost", type=STR, by_connection=False, text="User that processes without another user run as."
    )
    default_process_limit: int = setting(
        100,
        type=UINT,
        low=1,
        by_connection=False,
        unit="processes",
        text="process_limit of services that set none.",
    )
    default_vsz_limit: int = setting(
        0,
        type=SIZE,
        low=1 << 20,
        unlimited=0,
        by_connection=False,
        text="vsz_limit of services that set none.",
    )
    dovecot_config_version: str = setting(
        "",
        type=STR,
        by_connection=False,
        text="Accepted so that Dovecot 2.4 configurations load; not required and without effect.",
    )
    dovecot_storage_version: str = setting(
        "",
        type=STR,
        by_connection=False,
        text="Accepted so that Dovecot 2.4 configurations load; not required and without effect.",
    )
    haproxy_timeout_secs: int = setting(
        3, type=SECS, low=1, by_connection=False, text="How long a proxy may take to send its PROXY header."
    )
    haproxy_trusted_networks: tuple[str, ...] = setting(
        (),
        type=NETS,
        by_connection=False,
        text="Proxies whose PROXY header is believed.",
    )
    hostname: str = setting(
        "", type=STR, text='Name of this host in greetings and Received lines. "" = the system\'s fully qualified name.'
    )
    import_environment: Mapping[str, str] = setting(
        {"TZ": "%{env:TZ}", "PATH": "%{env:PATH}"},
        type=STRLIST,
        by_connection=False,
        text="Environment of the processes: NAME = value; everything else is cleared.",
    )
    instance_name: str = setting(
        "roost", type=STR, by_connection=False, text="Prefix of process titles and log names of this instance."
    )
    listen: tuple[str, ...] = setting(
        ("*", "::"),
        type=BOOLLIST,
        by_connection=False,
        text="Addresses of inet listeners: * = all IPv4, :: = all IPv6 (each its own socket).",
    )
    protocols: tuple[str, ...] = setting(
        PROTOCOLS, type=BOOLLIST, choices=PROTOCOLS, by_connection=False, text="Protocols whose services are started."
    )
    shutdown_clients: bool = setting(
        True,
        type=BOOL,
        by_connection=False,
        text="Disconnect clients at stop; no = let them finish. A reload always lets them.",
    )
    state_dir: str = setting(
        "/var/lib/roost", type=STR, by_connection=False, text="Directory of what must survive a reboot. Absolute."
    )
    verbose_proctitle: bool = setting(
        True, type=BOOL, by_connection=False, text="Show user, address and state in process titles."
    )
