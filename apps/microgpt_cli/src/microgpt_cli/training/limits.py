"""Check --minutes, --budget, --max-weights and --max-memory."""

import math
import re
from collections.abc import Mapping
from typing import Any

from microgpt.config import check_count
from microgpt.errors import ConfigError
from microgpt_cli.terminal.options import flag_of

# If all of these options are given, no default depends on the documents.
MAIN_SHAPE = ("block_size", "n_embd", "n_layer")


def check_limits(given: Mapping[str, Any]) -> None:
    """Raise ConfigError if a limit is out of range, or has no effect with another option."""
    given = {name: value for name, value in given.items() if value is not None}
    for name in ("minutes", "budget"):
        if name in given and not (math.isfinite(given[name]) and given[name] > 0):
            raise ConfigError(
                f"{flag_of(name)} must be a number greater than 0, got {given[name]:g}"
            )
    if "max_weights" in given:
        check_count("max_weights", given["max_weights"])
    recipes = ["preset", "from_", "resume", "repeat"]
    for name in ("minutes", "budget", "max_weights", "max_memory"):
        others = [*recipes, "genome"] if name.startswith("max") else ["budget", "steps", *recipes]
        for other in others:
            if name != other and {name, other} <= given.keys():
                raise ConfigError(
                    f"{flag_of(name)} cannot be used with {flag_of(other)}; omit one of them"
                )
    is_chosen = {"minutes", "budget"} & given.keys() or not given.keys() >= {*MAIN_SHAPE}
    for name in () if is_chosen else ("max_weights", "max_memory"):
        if name in given:
            raise ConfigError(
                f"{flag_of(name)} has no effect if --n-embd, --n-layer and --block-size are all "
                "given; omit it"
            )


def has_budget(settings: Mapping[str, Any]) -> bool:
    """Return whether the user limits the time or the operations."""
    return settings["minutes"] is not None or settings["budget"] is not None


def n_bytes(size: str) -> int:
    """Return the number of bytes of a size such as 500MB; raise ConfigError if it is invalid."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)b?", size.strip().lower())
    if not found:
        raise ConfigError(f"{size!r} is not a size; pass for example 500MB or 2GB")
    return int(float(found[1]) * 1000 ** " kmgt".index(found[2] or " "))
