"""Read a regular file up to a maximum size; reject pipes and devices."""

import errno
import os
import stat
from pathlib import Path


def read_regular_file(path: str | Path, max_bytes: int) -> bytes:
    """Return the content of a regular file that may be untrusted. Symlinks are followed.

    FIFOs and devices are rejected: reading a FIFO could block forever, and /dev/zero never ends.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or has more than max_bytes bytes;
            strerror contains the reason.
    """
    with open(path, "rb", opener=open_at_once) as file:  # raises OSError for a directory
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read() if facts.st_size <= max_bytes else b""
    if max(facts.st_size, len(content)) > max_bytes:  # /proc says that its files are empty
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return content


def open_at_once(path: str, flags: int) -> int:
    """Open a file without blocking if it is a FIFO; return the file descriptor."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
