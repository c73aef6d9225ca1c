"""Untrained models of each architecture, with each kind of tokenizer."""

import random
import string
from typing import Any

from microgpt import BpeTokenizer, ModelConfig
from microgpt.config import DType
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import CharTokenizer, Tokenizer
from microgpt.model_variants import init_variant
from microgpt.storage.meta import Meta, shape_fields, tokenizer_fields
from microgpt.storage.saved_model import SavedModel

NEWER = {
    "positions": "rotary",
    "token_shift": True,
    "activation": "relu2",
    "qk_norm": True,
    "final_norm": True,
}
ARCHITECTURES = {
    "karpathy": {},
    "newer": NEWER,
    "portable": {**NEWER, "token_shift": False},
    "learned": {**NEWER, "positions": "learned"},
    "rotary": {"positions": "rotary"},
    "token_shift": {"token_shift": True, "n_embd": 9, "n_head": 3},
    "qk_norm": {"qk_norm": True, "n_layer": 1},
    "one number": {"token_shift": True, "n_embd": 1, "n_head": 1},
}
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
    meta = Meta(**shape_fields(config), **tokenizer_fields(read), dtype=dtype)
    weights = init_variant(config, random.Random(seed))
    return SavedModel(config, weights, read, dtype, meta)


def drawn_shape(seed: int) -> dict[str, Any]:
    """Return a shape that is drawn at random, of any architecture."""
    rng = random.Random(seed)
    n_head, head_dim = rng.randint(1, 5), rng.randint(1, 9)
    return {
        "n_embd": n_head * head_dim,
        "n_head": n_head,
        "n_layer": rng.randint(1, 3),
        "block_size": rng.randint(*rng.choice(((1, 3), (4, 40), (40, 120)))),
        "n_ff_exp": rng.randint(1, 5),
        "init_std": rng.choice((0.1, 0.3)),  # larger logits are rounded by more in float32
        "positions": rng.choice(("learned", "rotary") if head_dim % 2 == 0 else ("learned",)),
        "token_shift": rng.random() < 0.5,
        "activation": rng.choice(("relu", "relu2")),
        "qk_norm": rng.random() < 0.5,
        "final_norm": rng.random() < 0.5,
    }
