"""Writes an initramfs: a cpio archive in the kernel's "newc" format, gzipped.

Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import gzip
import stat

CONSOLE = (5, 1)
TTY_S0 = (4, 64)


def initramfs(program: bytes) -> bytes:
    """Return an initramfs with `program` as /init and the two devices it needs."""
    archive = b"".join(
        (
            _entry(1, "dev", stat.S_IFDIR | 0o755),
            _entry(2, "dev/console", stat.S_IFCHR | 0o600, device=CONSOLE),
            _entry(3, "dev/ttyS0", stat.S_IFCHR | 0o600, device=TTY_S0),
            _entry(4, "init", stat.S_IFREG | 0o755, data=program),
            _entry(0, "TRAILER!!!", 0),
        )
    )
    # The same input gives the same bytes: no time of day inside.
    return gzip.compress(archive, mtime=0)


def _entry(
    inode: int,
    name: str,
    mode: int,
    *,
    data: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    path = name.encode() + b"\0"
    fields = (
        inode,
        mode,
        0,  # uid
        0,  # gid
        1,  # links
        0,  # mtime
        len(data),
        0,  # device that holds the archive, major and minor
        0,
        *device,
        len(path),
        0,  # checksum, of another format
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + path) + _padded(data)


def _padded(block: bytes) -> bytes:
    return block + b"\0" * (-len(block) % 4)
