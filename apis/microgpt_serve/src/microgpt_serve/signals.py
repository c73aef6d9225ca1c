"""Block SIGHUP during startup and shutdown, as its default action ends the process."""

import signal


def block_sighup() -> None:
    """Block SIGHUP until `unblock_sighup`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def unblock_sighup() -> None:
    """Unblock SIGHUP; a pending one is delivered."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
