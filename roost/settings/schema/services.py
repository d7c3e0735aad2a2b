"""``service NAME { … }`` and its listeners, and the services that exist by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, BOOLLIST, ENUM, OCTAL, PORT, SECS, SIZE, STR, UINT, setting

ROOMS = ("anvil", "auth", "auth-worker", "imap", "lmtp", "notify")
"""What ``executable`` can name."""

TYPE_TEXT = "What the process does at this socket; \"\" = the part of its name after the last '-'."


@dataclass(frozen=True)
class UnixListener:
    """``unix_listener PATH { … }``. ``path`` is absolute once the configuration is loaded; mode 0 switches it off."""

    PREFIX: ClassVar[str] = "unix_listener_"

    path: str = setting("", type=STR, text="Path of the socket; relative to base_dir.")
    type: str = setting("", type=STR, text=TYPE_TEXT)
    mode: int = setting(0o600, type=OCTAL, high=0o777, text="Permissions; 0 = no such listener.")
    user: str = setting("", type=STR, text='Owner. "" = unchanged.')
    group: str = setting("", type=STR, text='Group. "" = unchanged.')


@dataclass(frozen=True)
class FifoListener:
    """``fifo_listener PATH { … }``, like a unix listener."""

    PREFIX: ClassVar[str] = "fifo_listener_"

    path: str = setting("", type=STR, text="Path of the fifo; relative to base_dir.")
    type: str = setting("", type=STR, text=TYPE_TEXT)
    mode: int = setting(0o600, type=OCTAL, high=0o777, text="Permissions; 0 = no such listener.")
    user: str = setting("", type=STR, text='Owner. "" = unchanged.')
    group: str = setting("", type=STR, text='Group. "" = unchanged.')


@dataclass(frozen=True)
class InetBlock:
    """``inet_listener NAME { … }`` as written; each of its addresses becomes an ``InetListener``."""

    PREFIX: ClassVar[str] = "inet_listener_"

    name: str = setting("", type=STR, text="Name of the section.")
    type: str = setting("", type=STR, text=TYPE_TEXT)
    port: int = setting(0, type=PORT, text="TCP port; 0 = no such listener.")
    ssl: bool = setting(False, type=BOOL, text="TLS from the first octet. Not opened when ssl = no.")
    haproxy: bool = setting(False, type=BOOL, text="Connections begin with a PROXY header (v1 or v2).")
    listen: tuple[str, ...] = setting(
        (), type=BOOLLIST, inherit="listen", text="Addresses: * = all IPv4, :: = all IPv6."
    )


@dataclass(frozen=True)
class InetListener:
    """One address of an ``inet_listener``: ``host`` is 0.0.0.0 for ``*``, ``::`` for all of IPv6 only."""

    name: str
    type: str
    host: str
    port: int
    ssl: bool = False
    haproxy: bool = False


Listener = UnixListener | FifoListener | InetListener


@dataclass(frozen=True)
class ServiceSettings:
    """A kind of process and its limits. ``listeners`` are in the order of the configuration."""

    PREFIX: ClassVar[str] = "service_"

    name: str = setting("", type=STR, text="Name of the section: of the service in titles, logs and commands.")
    protocol: str = setting("", type=STR, text="Started only if this protocol is in protocols.")
    type: str = setting("", type=ENUM, choices=("", "anvil", "login", "worker"), text="Role of the process.")
    executable: str = setting("", type=ENUM, choices=("", *ROOMS), text="The room that runs.")
    user: str = setting("", type=STR, text='User of the process. "" = the one the master runs as.')
    group: str = setting("", type=STR, text='Group of the process. "" = the user\'s own.')
    extra_groups: tuple[str, ...] = setting((), type=BOOLLIST, text="Further groups of the process.")
    chroot: str = setting("", type=STR, text="Directory to chroot into; relative to base_dir.")
    process_min_avail: int = setting(0, type=UINT, unit="processes", text="Processes kept ready for another client.")
    process_limit: int = setting(
        100, type=UINT, low=1, inherit="default_process_limit", unit="processes", text="Most processes at once."
    )
    client_limit: int = setting(
        1000, type=UINT, low=1, inherit="default_client_limit", unit="clients", text="Clients of one process at once."
    )
    restart_request_count: int = setting(
        0, type=UINT, low=1, unlimited=0, unit="clients", text="A process retires after so many clients."
    )
    idle_kill_interval_secs: int | None = setting(
        60,
        type=SECS,
        low=1,
        unlimited=None,
        inherit="default_idle_kill_interval",
        text="How often idle processes beyond process_min_avail are stopped.",
    )
    vsz_limit_octets: int = setting(
        0,
        type=SIZE,
        low=1 << 20,
        unlimited=0,
        inherit="default_vsz_limit",
        text="Address space of one process. Python needs far more than it uses: 512M is a sensible least.",
    )
    reuse_port: bool = setting(
        False,
        type=BOOL,
        text="A socket for each process (SO_REUSEPORT); needs process_min_avail = process_limit.",
    )
    drop_priv_before_exec: bool = setting(
        False, type=BOOL, text="Drop privileges before the program starts; not with chroot."
    )
    spawn: str = setting(
        "fork", type=ENUM, choices=("fork", "exec"), text="Fork the master, or start a fresh interpreter."
    )
    listeners: tuple[Listener, ...] = ()


DEFAULTS = r"""
oauth2 {
  http_client_max_idle_time = 60 secs
  http_client_max_parallel_connections = 10
  http_client_response_body_max = 256 k
}
service anvil {
  type = anvil
  executable = anvil
  user = $SET:default_internal_user
  group = $SET:default_internal_group
  process_min_avail = 1
  process_limit = 1
  client_limit = 4096
  idle_kill_interval = infinite
  unix_listener anvil {
    mode = 0600
    user = $SET:default_internal_user
  }
  unix_listener anvil-auth-penalty {
    type = penalty
    mode = 0600
    user = $SET:default_internal_user
  }
}
service auth {
  executable = auth
  user = $SET:default_internal_user
  group = $SET:default_internal_group
  process_min_avail = 1
  process_limit = 1
  client_limit = 4096
  idle_kill_interval = infinite
  unix_listener auth-client {
    type = auth
    mode = 0600
    user = $SET:default_internal_user
  }
  unix_listener auth-login {
    type = login
    mode = 0600
    user = $SET:default_internal_user
  }
  unix_listener auth-master {
    type = master
    mode = 0600
  }
  unix_listener auth-userdb {
    type = userdb
    mode = 0666
    user = $SET:default_internal_user
    group = $SET:default_internal_group
  }
}
service auth-worker {
  executable = auth-worker
  user = $SET:default_internal_user
  group = $SET:default_internal_group
  process_limit = 30
  client_limit = 1
  restart_request_count = 1
  unix_listener auth-worker {
    mode = 0600
    user = $SET:default_internal_user
  }
}
service imap {
  protocol = imap
  executable = imap
  user = $SET:default_internal_user
  group = $SET:default_internal_group
  process_min_avail = 2
  process_limit = 16
  client_limit = 1000
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
service lmtp {
  protocol = lmtp
  executable = lmtp
  user = $SET:default_internal_user
  group = $SET:default_internal_group
  process_min_avail = 1
  process_limit = 8
  client_limit = 200
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    port = 0
  }
}
service notify {
  executable = notify
  user = $SET:default_internal_user
  group = $SET:default_internal_group
  process_min_avail = 1
  process_limit = 1
  client_limit = 4096
  idle_kill_interval = infinite
  unix_listener notify {
    mode = 0600
    user = $SET:default_internal_user
  }
}
group @mailbox_defaults english {
  mailbox Drafts {
    auto = subscribe
    special_use = \Drafts
  }
  mailbox Junk {
    auto = subscribe
    special_use = \Junk
  }
  mailbox Sent {
    auto = subscribe
    special_use = \Sent
  }
  mailbox Trash {
    auto = subscribe
    special_use = \Trash
  }
}
namespace inbox {
  inbox = yes
  mailbox Drafts {
    auto = subscribe
    special_use = \Drafts
  }
  mailbox Sent {
    auto = subscribe
    special_use = \Sent
  }
  mailbox Junk {
    auto = subscribe
    special_use = \Junk
  }
  mailbox Trash {
    auto = subscribe
    special_use = \Trash
  }
  mailbox Archive {
    auto = subscribe
    special_use = \Archive
  }
}
"""
"""The sections that exist without being written, in the configuration's own language: the lowest level of the tree."""
