"""The two binary files with which the page runs and trains models: the engine and the model.

Each file is a line of JSON, then binary parts; `web/engine/file.js` reads both files. The weights
are in the order of `weight_shapes`; the engine packs them for its kernels.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal, NamedTuple

from microgpt import (
    ModelConfig,
    SavedModel,
    Tokenizer,
    TrainConfig,
    angles,
    count_params,
    reply_plugin,
    tensors_of,
)
from microgpt_engine.buffers import Buffers, Rows
from microgpt_engine.kernel_settings import KINDS

VERSION_DIGITS = 12  # number of hexadecimal digits of the weights' SHA-256 that a page shows
MAX_EXAMPLES = 8  # maximum number of example messages on the page of a chat model
LAYOUT: Mapping[str, type[NamedTuple]] = {"rows": Rows, "buffers": Buffers}


class PackedFile(NamedTuple):
    """The content of a file: metadata, and binary parts by name."""

    facts: Mapping[str, object]
    parts: Mapping[str, bytes]

    def packed(self) -> bytes:
        """Return a line of JSON with the metadata, followed by the bytes of each part."""
        sizes = {name: len(part) for name, part in self.parts.items()}
        facts = json.dumps({**self.facts, "sizes": sizes})
        return facts.encode() + b"\n" + b"".join(self.parts.values())


def engine_file(kernels: Mapping[str, bytes]) -> PackedFile:
    """Return the file of the engine, which can run and train any model.

    By default, the page trains with Karpathy's settings.

    Args:
        kernels: modules of `wasm.TRAINING` by the names of their kernels; see `wasm.modules`.
    """
    facts = {
        "defaults": {"model": asdict(ModelConfig()), "config": asdict(TrainConfig())},
        "layout": KINDS
        | {
            name: {each: list(kind.__metadata__) for each, kind in arrays.__annotations__.items()}
            for name, arrays in LAYOUT.items()
        },  # the type of each setting and the dimensions of each array, by name
    }
    return PackedFile(facts, kernels)


def model_file(
    saved: SavedModel,
    name: str,
    dtype: Literal["float16", "float32"] = "float32",
    *,
    is_plain: bool = False,
) -> PackedFile:
    """Return the file of a model.

    Args:
        name: the name that the page shows.
        dtype: type of the stored weights; the engine computes in float32.
        is_plain: whether the page shows only the name and the chat.

    Raises:
        CheckpointError: a weight is too large for the dtype.
    """
    weights = tensors_of(saved.model, saved.weights, dtype).values()
    tokenizer = saved.tokenizer
    extra = saved.extra.items()
    questions = next((reply_plugin(name).page_facts(facts) for name, facts in extra), None)
    facts: dict[str, object] = {
        "model": model_facts(saved, name) | {"is_plain": is_plain},
        "text": saved.config.text,
        "dtype": dtype,
        "rates": angles(saved.model, 1),
        "step": asdict(saved.config),
        "bpe": bpe_facts(tokenizer) if tokenizer.file else None,
        "questions": questions,
    }
    return PackedFile(facts, {"weights": b"".join(each.tobytes() for each in weights)})


def model_facts(saved: SavedModel, name: str) -> dict[str, object]:
    """Return a model's configuration, and the facts that the page shows about the model."""
    tokenizer = saved.tokenizer
    return {
        "name": name,
        "version": saved.sha256[:VERSION_DIGITS],
        "chat": tokenizer.is_chat,
        "answers_few": bool(saved.extra),
        "examples": list(saved.meta.examples or ())[:MAX_EXAMPLES],
        "num_params": count_params(saved.model),
        **asdict(saved.model),
        "characters": "".join(tokenizer.chars or ()),
        "fold": tokenizer.folds,
    }


def bpe_facts(tokenizer: Tokenizer) -> dict[str, object]:
    """Return the bytes of each token as characters up to U+00FF, and the merges as token ids."""
    assert tokenizer.file
    model = json.loads(tokenizer.file)["model"]
    merges = [model["vocab"][piece] for merge in model["merges"] for piece in merge]
    names = tokenizer.piece_names
    pieces = [name.decode("latin-1") for name in names if isinstance(name, bytes)]
    return {"pieces": pieces, "merges": merges}
