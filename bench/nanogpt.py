"""Train nanoGPT's configuration for a CPU in PyTorch through rivals/torch_nanogpt.py."""

import json
import random
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train_speed import HERE

from microgpt.data.split import Split
from microgpt.data.tokenizer import Document

SCRIPT = str(HERE / "rivals" / "torch_nanogpt.py")


@dataclass(frozen=True)
class NanoGpt:
    """Cost and test loss of a training run."""

    steps: int
    seconds: float  # of the steps, without evaluations and the measurement of the speed
    params: int
    bits_per_character: float


def nanogpt(parts: Split, seconds: float, seed: int, *, python: str | None = None) -> NanoGpt:
    """Train on the training set for the given time, and score the test set.

    Documents are shuffled. Each ends with a newline, which counts as a character like our end
    token. The rival inherits the core that this process is pinned to.

    Args:
        python: path of an interpreter with PyTorch; by default, uv provides one.
    """
    rng = random.Random(seed)
    train, validation, test = (
        [str(doc) for doc in docs] if parts.holdout else [shuffled_lines(docs, rng)]
        for docs in (parts.train, parts.validation, parts.test)
    )
    texts = {"train": "".join(train), "validation": "".join(validation), "test": test}
    job = texts | {"seconds": seconds, "seed": seed}
    command = [python, SCRIPT] if python else ["uv", "run", "--quiet", "--script", SCRIPT]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps(job))
        return NanoGpt(**json.loads(subprocess.check_output([*command, str(path)])))


def shuffled_lines(docs: Sequence[Document], rng: random.Random) -> str:
    """Return the documents in random order, each followed by a newline."""
    return "".join(f"{doc}\n" for doc in rng.sample(docs, len(docs)))
