"""Read a regular file up to a maximum size; reject pipes and devices."""

import errno
import os
import stat
from pathlib import Path


def read_regular_file(path: str | Path, max_bytes: int) -> bytes:
    """Return the content of a regular file that may be untrusted.

    FIFOs and devices are rejected: reading a FIFO could block forever, and /dev/zero never ends.
    Symlinks are followed. The limit also holds if the file grows while it is read.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or has more than max_bytes bytes;
            strerror contains the reason.
    """
    with open(path, "rb", opener=open_at_once) as file:  # raises OSError for a directory
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= max_bytes else b""
        while len(content) > size and len(content) <= max_bytes and (more := file.read(2**20)):
            content += more  # the file has grown since fstat
    if max(size, len(content)) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return content


def open_at_once(path: str, flags: int) -> int:
    """Open a file without blocking if it is a FIFO; return the file descriptor."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
