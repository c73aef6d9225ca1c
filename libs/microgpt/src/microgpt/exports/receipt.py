"""The receipt of an exported model: what the model computes here, to compare with elsewhere.

The texts are made up by the model, so the receipt has no documents of its training data, unless the
model repeats some. Tokens are those of the model; `tokenizer` has what is needed to read them.
"""

import random
from collections.abc import Sequence
from importlib.metadata import version
from math import log
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.config import ModelConfig, Sampling
from microgpt.data.tokenizer import CharTokenizer, Tokenizer
from microgpt.error_format import first_problem, newer_version
from microgpt.errors import CheckpointError, ConfigError
from microgpt.evaluation.predictor import Predictor
from microgpt.inference import InferenceGpt
from microgpt.sampling import TokenStream
from microgpt.storage.meta import (
    check_tokenizer_fields,
    restore_tokenizer,
    tokenizer_fields,
)
from microgpt.storage.saved_model import SavedModel

FORMAT_VERSION = 1
N_TEXTS, MAX_TOKENS = 16, 256  # texts, and tokens of a text or a continuation after the first
SEED = 42  # of the first text and of the seeded continuation
MAX_BYTES = 2**20  # of a receipt in JSON; 16 texts of 256 tokens take 200 kB
FEW_QUESTIONS = (
    "the model answers few questions, which it finds by their words, and other programs cannot do "
    "that; use --format html"
)

Tokens = Annotated[tuple[int, ...], Field(min_length=2, max_length=MAX_TOKENS + 1)]
_T = TypeVar("_T")
_Known = Annotated[_T | None, Field(exclude_if=lambda fact: fact is None)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class ReceiptText(_Strict):
    """A text with the log-probability of each token after the first, in nats."""

    text: str  # for people; special tokens are written as "<|bos|>"
    tokens: Tokens
    log_probabilities: tuple[float, ...]
    total: float  # sum of the log-probabilities


class ReceiptContinuation(_Strict):
    """The first token, and those that the model continues it with. No token ends it."""

    temperature: Annotated[float, Field(ge=0)]  # 0 is greedy
    seed: Annotated[int, Field(ge=0)]  # of Python's random.Random; one `choices` a token
    tokens: Tokens


class ReceiptTokenizer(BaseModel):
    """What is needed to encode and decode texts, except for BPE, which has a file.

    The other fields are `TokenizerFields`; those that are None are not written.
    """

    tokenizer: str
    chars: _Known[tuple[str, ...]] = None
    special_tokens: _Known[tuple[str, ...]] = None
    fold: _Known[bool] = None
    ids: dict[str, int]  # of the special tokens, by name


class Receipt(_Strict):
    """What a model is, and what it computes; numbers are those of the exported weights."""

    format_version: int = FORMAT_VERSION
    description: str
    created_by: str
    model: ModelConfig
    quantization: Literal["int8"] | None
    model_sha256: Sha256  # of the weights file of the model, as in meta.json
    weights_sha256: Sha256  # of the weights in the exported file
    tokenizer: ReceiptTokenizer
    texts: Annotated[tuple[ReceiptText, ...], Field(min_length=1, max_length=N_TEXTS)]
    bits: float  # mean loss of the texts per token, in bits
    unrounded_bits: float  # the same before the weights were rounded
    continuations: tuple[ReceiptContinuation, ReceiptContinuation]  # greedy, and seeded


def make_receipt(
    saved: SavedModel,
    exported: SavedModel,
    *,
    weights_sha256: str,
    quantization: Literal["int8"] | None = None,
) -> Receipt:
    """Return the receipt of an exported model.

    Args:
        saved: the model; it makes up the texts.
        exported: the same with the weights that are exported, which may be rounded.
        weights_sha256: of the weights in the exported file.

    Raises:
        ConfigError: the model answers few questions, or sources of the model have been edited.
    """
    if saved.known_questions:
        raise ConfigError(FEW_QUESTIONS)
    gpt = InferenceGpt(saved)
    rounded = InferenceGpt(exported) if exported is not saved else gpt
    drawn = [_drawn(gpt, SEED + i) for i in range(N_TEXTS)]
    texts = [_text(rounded, tokens) for tokens in drawn]
    unrounded = texts if rounded is gpt else [_text(gpt, tokens) for tokens in drawn]
    kind, size = "conversations" if gpt.tokenizer.is_chat else "text", gpt.config.block_size
    return Receipt(
        description=f"A language model of {kind} with {gpt.num_params:,} weights and a context of "
        f"{size} tokens, trained with microgpt.",
        created_by=f"microgpt {version('microgpt-lib')}",
        model=saved.model,
        quantization=quantization,
        model_sha256=saved.sha256,
        weights_sha256=weights_sha256,
        tokenizer=_receipt_tokenizer(saved.tokenizer),
        texts=tuple(texts),
        bits=mean_bits(texts),
        unrounded_bits=mean_bits(unrounded),
        continuations=(_continuation(rounded, 0.0), _continuation(rounded, Sampling.temperature)),
    )


def read_receipt(content: str, name: str) -> Receipt:
    """Return a receipt that may be untrusted; raise CheckpointError if it is not valid."""
    if len(content) > MAX_BYTES:
        raise CheckpointError(f"{name}: the receipt is larger than {MAX_BYTES:,} bytes")
    if problem := newer_version(content, "format_version", FORMAT_VERSION):
        raise CheckpointError(f"{name}: {problem}")
    try:
        receipt = Receipt.model_validate_json(content)
    except (ValidationError, ConfigError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise CheckpointError(f"{name}: the receipt is damaged: {problem}") from error
    V, most = receipt.model.vocab_size, receipt.model.block_size + 1
    read = [text.tokens for text in receipt.texts] + [one.tokens for one in receipt.continuations]
    for tokens in read:
        if len(tokens) > most or not all(0 <= token < V for token in tokens):
            raise CheckpointError(f"{name}: the receipt is damaged: a text is not of its model")
    if any(len(each.log_probabilities) != len(each.tokens) - 1 for each in receipt.texts):
        raise CheckpointError(f"{name}: the receipt is damaged: a text lacks log-probabilities")
    return receipt


def restored_tokenizer(receipt: Receipt, file: str | None, path: Path) -> Tokenizer:
    """Return the tokenizer of a receipt that may be untrusted.

    Args:
        file: the content of tokenizer.json of a subword tokenizer.
        path: of the exported file, for error messages.

    Raises:
        CheckpointError: the tokenizer is invalid, or is not that of the model.
    """
    fields = receipt.tokenizer
    check_tokenizer_fields(path, fields)
    content = None if fields.tokenizer == CharTokenizer.kind else (path, (file or "").encode())
    return restore_tokenizer(path, fields, content, receipt.model.vocab_size)


def mean_bits(texts: Sequence[ReceiptText]) -> float:
    """Return the mean loss of texts per token, in bits."""
    return -sum(text.total for text in texts) / sum(len(t.tokens) - 1 for t in texts) / log(2)


def _drawn(gpt: InferenceGpt, seed: int) -> list[int]:
    """Return the tokens of a document that the model makes up, with its end if it has one."""
    tokenizer = gpt.tokenizer
    first = [tokenizer.bos_id, *([tokenizer.role_id("user")] if tokenizer.is_chat else [])]
    tokens, stream = _generated(gpt, first[: gpt.config.block_size], 1.0, seed, tokenizer.bos_id)
    return [*tokens, tokenizer.bos_id] if stream.finish_reason == "stop" else tokens


def _generated(
    gpt: InferenceGpt, first: list[int], temperature: float, seed: int, *stop: int
) -> tuple[list[int], TokenStream]:
    """Return tokens and those that the model continues them with, and the stream of these."""
    stream = gpt.generate_from_prompt(
        first,
        stop=stop,
        max_tokens=min(MAX_TOKENS, gpt.config.block_size) + 1 - len(first),
        sampling=Sampling(temperature=temperature),
        rng=random.Random(seed),
    )
    return [*first, *stream], stream


def _text(gpt: Predictor, tokens: list[int]) -> ReceiptText:
    """Return the log-probabilities of tokens after the first."""
    rows = gpt.log_probability_rows(tokens[:-1])
    each = tuple(row[token] for row, token in zip(rows, tokens[1:], strict=True))
    labels = "".join(map(gpt.tokenizer.label, tokens))
    return ReceiptText(text=labels, tokens=tuple(tokens), log_probabilities=each, total=sum(each))


def _continuation(gpt: InferenceGpt, temperature: float) -> ReceiptContinuation:
    """Return tokens after BOS until the context is full."""
    tokens, _ = _generated(gpt, [gpt.tokenizer.bos_id], temperature, SEED)
    return ReceiptContinuation(temperature=temperature, seed=SEED, tokens=tuple(tokens))


def _receipt_tokenizer(tokenizer: Tokenizer) -> ReceiptTokenizer:
    ids = {str(tokenizer.names[token]): token for token in tokenizer.special_ids}
    return ReceiptTokenizer.model_validate(tokenizer_fields(tokenizer) | {"ids": ids})
