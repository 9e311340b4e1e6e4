"""Whose it is what root makes: the service's, where a service is to use it.

Owns the making of private folders and files. Must not know what lies in them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


def own_like(path: Path, other: Path) -> None:
    """Give what root has made to the owner of another path: what a service is to use must be the
    service's. Where root may not, or that owner has no number here, it stays as it is."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            owner = other.stat()
            # Never through a link: the folder may belong to somebody who would like one followed.
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def make_folder(folder: Path) -> None:
    """Make a folder that nobody else may read, as its parent's owner would have made it; what
    is missing above it, too. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # somebody else was quicker
        folder.mkdir(mode=0o700)
        own_like(folder, folder.parent)
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def make_file(path: Path) -> int:
    """Make a file anew that nobody else may read, its folder's owner's; gives its descriptor. What
    had its name is gone: nothing is written through a link. Raises OSError."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    own_like(path, path.parent)
    return descriptor
