"""Hold SIGHUP back while the service starts and ends; by itself it would end the process."""

import signal


def hold_reloads() -> None:
    """Keep a SIGHUP until `release_reloads`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def release_reloads() -> None:
    """Let SIGHUP through, and one that was held back."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
