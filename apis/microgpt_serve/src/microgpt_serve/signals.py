"""Block SIGHUP during startup and shutdown, because its default action ends the process."""

import signal


def block_sighup() -> None:
    """Block SIGHUP until `unblock_sighup` is called."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def unblock_sighup() -> None:
    """Unblock SIGHUP. A pending signal is delivered."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
