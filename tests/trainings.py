"""Made-up names to train on, and what a training leaves in the directory of its model."""

import json
import random
from pathlib import Path
from typing import Any


def made_up_names(n: int, letters: str = "abcdefgh") -> list[str]:
    """Return names of 3 to 9 letters, the same each time."""
    rng = random.Random(0)
    return ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(n)]


NAMES = "\n".join(made_up_names(100, "abcdefgé"))  # with a letter that takes two bytes


def weights(model: Path) -> bytes:
    return (model / "weights.json").read_bytes()


def meta_of(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "meta.json").read_text())
    return found


def training_of(model: Path) -> dict[str, Any]:
    """Return the record of the training of a model."""
    found: dict[str, Any] = meta_of(model)["training"]
    return found
