"""Notifications to systemd, for a unit with Type=notify; see sd_notify(3)."""

import contextlib
import os
import re
import socket


def notify(state: str) -> None:
    """Tell systemd a state such as READY=1, if it started this process."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(f"{state}\n".encode(), re.sub("^@", "\0", address))
