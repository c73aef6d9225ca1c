"""`microgpt export --format html`: write a model as an HTML file that is as small as possible."""

from pathlib import Path
from typing import Literal

import numpy as np

from microgpt import (
    CheckpointError,
    ConfigError,
    DecodeRules,
    DType,
    ExportFormat,
    ExportRequest,
    Sampling,
    SavedModel,
    count_params,
    tensors_of,
)
from microgpt_engine.compiled_model import CompiledModel
from microgpt_page.html_page import built

MAX_WEIGHTS = 2**24
N_GREEDY, N_PROMPTS = 200, 20  # number of tokens in all, and of prompts, that `_dtype` compares


def file_to_give(saved: SavedModel, name: str) -> bytes:
    """Return the document of a model, in half precision if that keeps greedy decoding unchanged.

    If the model has a reply plug-in, the page shows only its name and the chat.

    Raises:
        ConfigError: the model is too large for a page, or the engine cannot be compiled.
    """
    if (n := count_params(saved.model)) > MAX_WEIGHTS:
        raise ConfigError(
            f"the model is too large for a page: it has {n:,} weights; at most {MAX_WEIGHTS:,} are "
            "allowed; use --format safetensors"
        )
    return built(saved, name, _dtype(saved), is_plain=bool(saved.extra))


def _encode(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    name = request.output.stem if saved.extra else request.name
    return {request.output: file_to_give(saved, name)}


HTML = ExportFormat(_encode)


def _dtype(saved: SavedModel) -> Literal["float16", "float32"]:
    """Return "float16" if greedy decoding is the same with float16 weights, else "float32"."""
    try:
        rounded = _greedy(saved, "float16", "float32")
    except CheckpointError:  # a weight is too large for float16
        return "float32"
    return "float16" if rounded == _greedy(saved, saved.dtype, saved.dtype) else "float32"


def _greedy(saved: SavedModel, rounding: str, dtype: DType) -> list[list[int]]:
    """Return greedy continuations of some prompts, with the weights rounded to dtype `rounding`."""
    tensors = tensors_of(saved.model, saved.weights, rounding).values()
    model = CompiledModel(saved.model, np.concatenate([each.ravel() for each in tensors]), dtype)
    tokenizer = saved.tokenizer
    prompts = [[tokenizer.bos_id, token] for token in range(tokenizer.special_ids[0])]
    if tokenizer.is_chat:
        user, assistant = tokenizer.role_id("user"), tokenizer.role_id("assistant")
        prompts = [[bos, user, token, tokenizer.end_turn_id, assistant] for bos, token in prompts]
    prompts = [prompt[-saved.model.block_size :] for prompt in prompts[:N_PROMPTS]]
    rules = DecodeRules(max_tokens=-(-N_GREEDY // len(prompts)), sampling=Sampling(0))
    return list(model.decode_many(prompts, [0] * len(prompts), rules))
