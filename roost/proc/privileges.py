"""Who a child runs as: resolved by the master while it can still look names up, dropped by the child itself.

``resolve`` turns names into numbers (errors name the setting); ``drop`` gives the rights away for good and proves it.
Order of effects: supplementary groups, gid, chroot, uid, then a check that root cannot come back.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass

from roost.errors import ConfigError
from roost.proc import orphan


@dataclass(frozen=True, slots=True)
class Privileges:
    """Target identity of a process; None and "" mean: leave as it is. All fields unset: nothing to do."""

    unix_uid: int | None = None
    unix_gid: int | None = None
    groups: tuple[int, ...] = ()
    chroot: str = ""
    die_with_master: bool = True
    """False when sessions may outlive the master (``shutdown_clients = no``)."""

    @property
    def changes_nothing(self) -> bool:
        return self.unix_uid is None and self.unix_gid is None and not self.groups and not self.chroot


def resolve(
    user: str,
    group: str,
    extra_groups: Sequence[str] = (),
    chroot: str = "",
    *,
    where: str,
    die_with_master: bool = True,
) -> Privileges:
    """Names → numbers. ``where`` is how the settings are called in messages: ``service imap``.

    Raises: ConfigError naming the setting when a user or group does not exist.
    """
    unix_uid: int | None = None
    unix_gid: int | None = None
    groups: tuple[int, ...] = ()
    if user:
        entry = find_user(user, see=f"{where} {{ user }}")
        unix_uid, unix_gid = entry.pw_uid, entry.pw_gid
    if group:
        unix_gid = find_group(group, see=f"{where} {{ group }}")
    extra = tuple(find_group(name, see=f"{where} {{ extra_groups }}") for name in extra_groups)
    if unix_gid is not None:
        groups = tuple(dict.fromkeys((unix_gid, *extra)))
    elif extra:
        groups = tuple(dict.fromkeys((os.getegid(), *extra)))
    return Privileges(unix_uid, unix_gid, groups, chroot, die_with_master)


def find_user(name: str, *, see: str) -> pwd.struct_passwd:
    """The passwd entry of a user name or number. Raises: ConfigError."""
    try:
        return pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise ConfigError(f"User doesn't exist: {name} (See {see} setting)", key=see) from None


def find_group(name: str, *, see: str) -> int:
    """The gid of a group name or number. Raises: ConfigError."""
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"Group doesn't exist: {name} (See {see} setting)", key=see) from None


def drop(privileges: Privileges) -> None:
    """Become what ``privileges`` says, irrevocably. Does nothing when it names nothing or we are not root.

    Raises: OSError when the system refuses; PermissionError when root could be regained. The caller must not go on.
    """
    if os.geteuid() == 0 and not privileges.changes_nothing:
        if privileges.groups:
            os.setgroups(list(privileges.groups))
        if privileges.unix_gid is not None:
            os.setresgid(privileges.unix_gid, privileges.unix_gid, privileges.unix_gid)
        if privileges.chroot:
            os.chroot(privileges.chroot)
            os.chdir("/")
        if privileges.unix_uid is not None and privileges.unix_uid != 0:
            os.setresuid(privileges.unix_uid, privileges.unix_uid, privileges.unix_uid)
            _assert_root_is_gone()
    # The kernel forgets the parent-death signal whenever the user changes: ask again.
    if privileges.die_with_master:
        orphan.die_with_parent()


def _assert_root_is_gone() -> None:
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PermissionError("root could be regained after dropping privileges")
