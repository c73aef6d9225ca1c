"""Read a regular file of bounded size: no pipe, no device, no endless file."""

import errno
import os
import stat
from pathlib import Path


def read_regular_file(path: str | Path, max_bytes: int) -> bytes:
    """Return the content of a file that may come from a stranger.

    A FIFO would block for ever, and a device such as /dev/zero never ends, so only regular files
    (or links to one) are read. A file that grows while it is read counts with its new size.

    Raises:
        OSError: it cannot be opened, is not a regular file, or has more than max_bytes; strerror
            says which.
    """
    with open(path, "rb", opener=open_at_once) as file:  # a directory is an OSError here
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= max_bytes else b""
        while len(content) > size and len(content) <= max_bytes and (more := file.read(2**20)):
            content += more  # it has grown
    if max(size, len(content)) > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes:,} bytes", str(path))
    return content


def open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the writer of a FIFO."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
