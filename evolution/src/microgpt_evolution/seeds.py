"""Derive the seed of each training run from the seed of the search."""

import hashlib


def training_seed(run_seed: int, generation: int, slot: int, repeat: int = 0) -> int:
    """Return the seed of a training run, from 0 to 2**63 - 1.

    The seed is the upper 63 bits of the first 8 bytes, big-endian, of the SHA-256 of the string
    "run_seed/generation/slot/repeat". It does not depend on the machine or the Python version.

    Args:
        generation: generation number, counted from 1.
        slot: position in the generation, counted from 1.
        repeat: 0 in the search; 1, 2 … in a retest.

    Examples:
        >>> training_seed(42, generation=1, slot=1)
        1326003655785742465
    """
    digest = hashlib.sha256(f"{run_seed}/{generation}/{slot}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
