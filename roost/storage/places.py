"""Is a folder on a network file system? Locks and shared memory cannot be trusted there."""

from __future__ import annotations

import os

NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2",
     "gfs2", "coda", "ncpfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs2",
     "davfs"}
)  # fmt: skip

MOUNTS = "/proc/self/mountinfo"


def device_of(path: str) -> int:
    """The device of a path, or of its nearest existing folder. Raises OSError."""
    while True:
        try:
            return os.stat(path).st_dev
        except FileNotFoundError:
            parent = os.path.dirname(path)
            if parent == path:
                raise
            path = parent


def network_filesystem(device: int, mounts: str | None = None) -> str | None:
    """The type of a network file system on this device, or None. Unknown (no /proc) counts as local."""
    if mounts is None:
        try:
            with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
                mounts = file.read()
        except OSError:
            return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) > 6 and fields[2] == wanted and "-" in fields:
            kind = fields[fields.index("-") + 1]
            if kind in NETWORK_FILESYSTEMS:
                return kind
    return None
