"""Notifications to systemd, for a unit with Type=notify or WatchdogSec; see sd_notify(3)."""

import asyncio
import contextlib
import os
import socket


def notify(state: str) -> None:
    """Tell systemd a state such as READY=1, if it started this process."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(f"{state}\n".encode(), address.replace("@", "\0", 1))


async def keep_watchdog() -> None:
    """Tell systemd twice per interval of its watchdog that the event loop is running."""
    while interval_us := int(os.environ.get("WATCHDOG_USEC", 0)):
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_us / 2e6)
