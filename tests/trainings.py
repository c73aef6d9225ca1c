"""Helpers for tests of training: made-up names, conversations, and training records."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from microgpt import BpeTokenizer, Message, ModelConfig, TrainConfig, TrainResult, train


def made_up_names(n: int, letters: str = "abcdefgh") -> list[str]:
    """Return n made-up names of 3 to 9 letters, the same ones each time."""
    rng = random.Random(0)
    return ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(n)]


NAMES = "\n".join(made_up_names(100, "abcdefgé"))  # BPE can split é into its two bytes
QUESTIONS = [("When are you open?", "From 7 to 18."), ("Can I order a cake?", "Call us."),
             ("Where are you?", "12 Mill Street.")]  # fmt: skip


def talks(pairs: Iterable[tuple[str, str]]) -> list[tuple[Message, ...]]:
    """Return a conversation for each pair of a question and an answer."""
    return [(Message("user", asked), Message("assistant", said)) for asked, said in pairs]


def subword_model(text: str) -> TrainResult:
    """Return a subword model after a short training run."""
    return train(
        [text],
        model=ModelConfig(n_embd=1, n_head=1, block_size=4),
        tokenizer=BpeTokenizer.from_documents([text] * 3, vocab_size=260),
        config=TrainConfig(steps=1, engine="reference"),
    )


def weights(model: Path) -> bytes:
    return (model / "weights.json").read_bytes()


def meta_of(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "meta.json").read_text())
    return found


def training_of(model: Path) -> dict[str, Any]:
    """Return the training record in the meta.json of a model directory."""
    found: dict[str, Any] = meta_of(model)["training"]
    return found
