"""Untrained models of each architecture, with each kind of tokenizer."""

import random
import string
from dataclasses import asdict
from typing import Any, get_args

import numpy as np

from microgpt import BpeTokenizer, InferenceGpt, ModelConfig
from microgpt.config import Architecture, DType
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer
from microgpt.model_variants import init_variant
from microgpt.storage.model_metadata import Meta, SavedModel, tokenizer_fields

ARCHITECTURES = get_args(Architecture)
PORTABLE = {"architecture": "portable"}
TEXT = "it's a small world, isn't it? naïve ☃☃☃ 日本語 日本語 😀😀 we've we've"
TOKENIZERS: dict[str, Tokenizer] = {
    "names": CharTokenizer(string.ascii_lowercase),
    "chat": FoldingTokenizer(string.ascii_lowercase + " .", is_chat=True),
    "text": BpeTokenizer.from_documents([TEXT] * 3, 280),
}


def saved_model(
    tokenizer: str = "names", *, seed: int = 0, dtype: DType = "float32", **shape: object
) -> SavedModel:
    """Return an untrained model."""
    read = TOKENIZERS[tokenizer]
    facts = {"n_embd": 16, "n_head": 4, "n_layer": 2, "block_size": 320, "init_std": 0.3, **shape}
    config = ModelConfig(vocab_size=read.vocab_size, **facts)
    meta = Meta(**asdict(config), **tokenizer_fields(read), dtype=dtype)
    return SavedModel(config, init_variant(config, random.Random(seed)), read, dtype, meta)


def drawn_shape(seed: int) -> dict[str, Any]:
    """Return a random model shape and a random architecture, as fields of `ModelConfig`."""
    rng = random.Random(seed)
    architecture, n_head = rng.choice(ARCHITECTURES), rng.randint(1, 5)
    head_dim = rng.choice(range(1, 10) if architecture == "karpathy" else (2, 4, 6, 8))
    return {
        "n_embd": n_head * head_dim,
        "n_head": n_head,
        "n_layer": rng.randint(1, 3),
        "block_size": rng.randint(*rng.choice(((1, 3), (4, 40), (40, 120)))),
        "n_ff_exp": rng.randint(1, 5),
        "init_std": rng.choice((0.1, 0.3)),  # larger logits would have larger float32 errors
        "architecture": architecture,
    }


def drawn_tokens(saved: SavedModel, n: int, seed: int = 1) -> list[int]:
    """Return random tokens of a model's vocabulary."""
    return random.Random(seed).choices(range(saved.model.vocab_size), k=n)


def log_probabilities(saved: SavedModel, tokens: list[int]) -> np.ndarray:
    """Return the log-probabilities of all tokens after each given token: (T, V)."""
    return np.array([*InferenceGpt(saved).log_probabilities(tokens)])
