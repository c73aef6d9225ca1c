"""Block SIGHUP while the service cannot reload: during startup and shutdown.

Its default action ends the process. Windows has no such signal.
"""

import signal


def block_sighup() -> None:
    """Block SIGHUP; a signal that arrives is kept until it is unblocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def unblock_sighup() -> None:
    """Unblock SIGHUP. A pending signal is delivered."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
