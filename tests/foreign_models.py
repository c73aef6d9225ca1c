"""Write checkpoints in the formats of other programs."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from microgpt import ModelConfig
from microgpt.model import init_weights

TEXTS = ["what is 3 plus 4?", "it is 7", "it's 12 o'clock", "naïve"] * 3
SHAPE = {"n_embd": 16, "n_head": 4, "n_layer": 2, "block_size": 32}
MOONBASE_TOKENS = ("<bos>", "<user>", "<assistant>", "<end_turn>")


def tokenizer_file(texts: Iterable[str], vocab_size: int, special: Iterable[str] = ()) -> bytes:
    """Return a tokenizer file like MoonBase's: special tokens, bytes that occur, merged pairs."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    tokens = [AddedToken(name, special=True) for name in special]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=tokens, show_progress=False)
    library.train_from_iterator(texts, trainer)
    return library.to_str().encode()


def moonbase(directory: Path, *, is_chat: bool = True, dtype: str = "float32", **shape: int) -> Any:
    """Write a checkpoint in MoonBase's format; return its tokenizer and its weights."""
    from tokenizers import Tokenizer

    directory.mkdir()
    file = tokenizer_file(TEXTS, 60, MOONBASE_TOKENS if is_chat else MOONBASE_TOKENS[:1])
    (directory / "tokenizer.json").write_bytes(file)
    library = Tokenizer.from_str(file.decode())
    config = ModelConfig(vocab_size=library.get_vocab_size(), **{**SHAPE, **shape})
    names = {"special_tokens": ["user", "assistant", "end_turn"]} if is_chat else {}
    meta = {"vocab_size": config.vocab_size, **SHAPE, **shape, **names}
    (directory / "meta.json").write_text(json.dumps(meta))
    weights = init_weights(config, random.Random(1))
    tensors = {name: np.array(rows, dtype) for name, rows in weights.items()}
    save_file(tensors, directory / "weights.safetensors")
    return library, {name: each.astype(float).tolist() for name, each in tensors.items()}
