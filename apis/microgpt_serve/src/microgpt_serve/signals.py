"""Block SIGHUP during startup and shutdown, as its default action ends the process."""

import signal


def hold_reloads() -> None:
    """Block SIGHUP until `release_reloads`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def release_reloads() -> None:
    """Unblock SIGHUP; a pending one is delivered."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
