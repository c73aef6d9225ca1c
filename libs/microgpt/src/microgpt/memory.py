"""Whether there is memory for what is asked. This module knows nothing of what it is for."""

import psutil

from microgpt.errors import ConfigError

NEGLIGIBLE = 2**24  # bytes; to ask takes half a millisecond, which a small training would notice


def free_bytes() -> int:
    """Return the memory that nobody uses."""
    return int(psutil.virtual_memory().available)


def check_memory(n_bytes: int, purpose: str) -> None:
    """Raise ConfigError, with both numbers, if more bytes are needed than are free."""
    if n_bytes < NEGLIGIBLE:
        return
    free = free_bytes()
    if n_bytes > free:
        raise ConfigError(
            f"{purpose} needs {n_bytes:,} bytes of memory, and {free:,} are free; "
            "make the model or the context smaller"
        )
