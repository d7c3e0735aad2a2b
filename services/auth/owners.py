"""Names of system users and groups in userdb fields become numbers, which is what mail processes need.

``uid``, ``gid``, ``uidgid_file`` (a file whose owner and group they are) and ``system_groups_user`` (whose groups a
mail process takes on). A name that the system does not know is a temporary failure: the administrator must act, and
nobody's mail may end up with another owner.
"""

from __future__ import annotations

import grp
import os
import pwd
from functools import lru_cache

from roost.errors import Unavailable

MAX_ID = 2**32 - 2


def resolve(fields: dict[str, str]) -> None:
    """Make the ids in ``fields`` numbers. Raises Unavailable."""
    path = fields.pop("uidgid_file", "")
    if path:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise _unknown(f"stat({path}) failed: {getattr(error, 'strerror', None) or error}") from error
        fields["uid"], fields["gid"] = str(status.st_uid), str(status.st_gid)
    uid = fields.get("uid")
    if uid is not None and not _is_id(uid):
        fields["uid"] = _uid(uid)
    gid = fields.get("gid")
    if gid is not None and not _is_id(gid):
        fields["gid"] = _gid(gid)
    groups_of = fields.get("system_groups_user")
    if groups_of is not None:
        _uid(groups_of)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID


@lru_cache(maxsize=256)
def _uid(name: str) -> str:
    """Names that were found are remembered, as long as the process lives. Raises Unavailable."""
    try:
        return str(pwd.getpwnam(name).pw_uid)
    except (KeyError, ValueError, OSError):
        raise _unknown(f"Invalid UID value '{name[:64]}': no such system user") from None


@lru_cache(maxsize=256)
def _gid(name: str) -> str:
    try:
        return str(grp.getgrnam(name).gr_gid)
    except (KeyError, ValueError, OSError):
        raise _unknown(f"Invalid GID value '{name[:64]}': no such system group") from None


def _unknown(detail: str) -> Unavailable:
    return Unavailable("Temporary authentication failure.", detail=detail)
