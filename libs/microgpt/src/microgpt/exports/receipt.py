"""The receipt of an exported model: what the model computes here, to compare with elsewhere.

The texts are made up by the model, so the receipt has no documents of its training data, unless the
model repeats some. Tokens are those of the model; `tokenizer` has what is needed to read them.
"""

import random
from collections.abc import Sequence
from importlib.metadata import version
from math import log
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.config import ModelConfig, Sampling
from microgpt.data.tokenizer import Tokenizer
from microgpt.error_format import first_problem, newer_version
from microgpt.errors import CheckpointError, ConfigError
from microgpt.evaluation.predictor import Predictor
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.storage.meta import tokenizer_fields
from microgpt.storage.saved_model import SavedModel

FORMAT_VERSION = 1
N_TEXTS, MAX_TOKENS = 16, 256  # texts, and tokens of a text or a continuation after the first
SEED = 42  # of the first text and of the seeded continuation
MAX_BYTES = 2**20  # of a receipt in JSON; 16 texts of 256 tokens take 200 kB

Tokens = Annotated[tuple[int, ...], Field(min_length=2, max_length=MAX_TOKENS + 1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ReceiptText(BaseModel):
    """A text with the log-probability of each token after the first, in nats."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    text: str  # for people; special tokens are written as "<|bos|>"
    tokens: Tokens
    log_probabilities: tuple[float, ...]
    total: float  # sum of the log-probabilities


class ReceiptContinuation(BaseModel):
    """The first token, and those that the model continues it with. No token ends it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    temperature: Annotated[float, Field(ge=0)]  # 0 is greedy
    seed: Annotated[int, Field(ge=0)]  # of Python's random.Random; one `choices` a token
    tokens: Tokens


class Receipt(BaseModel):
    """What a model is, and what it computes; numbers are those of the exported weights."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    format_version: int = FORMAT_VERSION
    description: str
    created_by: str
    model: ModelConfig
    quantization: Literal["int8"] | None
    model_sha256: Sha256  # of the weights file of the model, as in meta.json
    weights_sha256: Sha256  # of the weights in the exported file
    tokenizer: dict[str, Any]  # as in meta.json, and the special tokens in the order of their ids
    texts: Annotated[tuple[ReceiptText, ...], Field(min_length=1, max_length=N_TEXTS)]
    bits: float  # mean loss of the texts per token, in bits
    unrounded_bits: float  # the same before the weights were rounded
    greedy: ReceiptContinuation
    seeded: ReceiptContinuation


def make_receipt(saved: SavedModel, exported: SavedModel, **facts: Any) -> Receipt:
    """Return the receipt of an exported model.

    Args:
        saved: the model; it makes up the texts.
        exported: the same with the weights that are exported, which may be rounded.
        facts: the `quantization` and the `weights_sha256` of the receipt.
    """
    gpt = InferenceGpt(saved)
    rounded = InferenceGpt(exported) if exported is not saved else gpt
    drawn = [_drawn(gpt, SEED + i) for i in range(N_TEXTS)]
    texts = [_text(rounded, tokens) for tokens in drawn]
    unrounded = texts if rounded is gpt else [_text(gpt, tokens) for tokens in drawn]
    shape = f"{count_params(saved.model):,} weights, context of {saved.model.block_size} tokens"
    return Receipt(
        description=f"A language model of {'conversations' if saved.tokenizer.is_chat else 'text'}"
        f" with {shape}, trained with microgpt.",
        created_by=f"microgpt {version('microgpt-lib')}",
        model=saved.model,
        model_sha256=saved.sha256,
        tokenizer=_tokenizer_facts(saved.tokenizer),
        texts=tuple(texts),
        bits=mean_bits(texts),
        unrounded_bits=mean_bits(unrounded),
        greedy=_continuation(rounded, 0.0),
        seeded=_continuation(rounded, Sampling.temperature),
        **facts,
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
    all_tokens = [text.tokens for text in receipt.texts]
    all_tokens += [each.tokens for each in continuations(receipt)]
    most, last = receipt.model.block_size + 1, receipt.model.vocab_size - 1
    if any(len(each.log_probabilities) != len(each.tokens) - 1 for each in receipt.texts):
        problem = "a text lacks log-probabilities"
    elif any(len(tokens) > most for tokens in all_tokens):
        problem = "a text exceeds the context"
    elif any(not 0 <= token <= last for tokens in all_tokens for token in tokens):
        problem = "a token is not in the vocabulary"
    else:
        return receipt
    raise CheckpointError(f"{name}: the receipt is damaged: {problem}")


def continuations(receipt: Receipt) -> tuple[ReceiptContinuation, ReceiptContinuation]:
    """Return the greedy and the seeded continuation."""
    return receipt.greedy, receipt.seeded


def mean_bits(texts: Sequence[ReceiptText]) -> float:
    """Return the mean loss of texts per token, in bits."""
    return -sum(text.total for text in texts) / sum(len(t.tokens) - 1 for t in texts) / log(2)


def _drawn(gpt: InferenceGpt, seed: int) -> list[int]:
    """Return the tokens of a document that the model makes up, with its end if it has one."""
    tokenizer = gpt.tokenizer
    first = [tokenizer.bos_id, *([tokenizer.role_id("user")] if tokenizer.is_chat else [])]
    first, most = first[: gpt.config.block_size], min(MAX_TOKENS, gpt.config.block_size)
    stream = gpt.generate_from_prompt(
        first,
        stop=(tokenizer.bos_id,),
        max_tokens=most + 1 - len(first),
        sampling=Sampling(temperature=1.0),
        rng=random.Random(seed),
    )
    tokens = [*first, *stream]
    return [*tokens, tokenizer.bos_id] if stream.finish_reason == "stop" else tokens


def _text(gpt: Predictor, tokens: list[int]) -> ReceiptText:
    """Return the log-probabilities of tokens after the first."""
    rows = gpt.log_probability_rows(tokens[:-1])
    each = tuple(row[token] for row, token in zip(rows, tokens[1:], strict=True))
    labels = "".join(map(gpt.tokenizer.label, tokens))
    return ReceiptText(text=labels, tokens=tuple(tokens), log_probabilities=each, total=sum(each))


def _continuation(gpt: InferenceGpt, temperature: float) -> ReceiptContinuation:
    """Return tokens after BOS until the context is full."""
    bos = gpt.tokenizer.bos_id
    stream = gpt.generate_from_prompt(
        [bos],
        stop=(),
        max_tokens=min(MAX_TOKENS, gpt.config.block_size),
        sampling=Sampling(temperature=temperature),
        rng=random.Random(SEED),
    )
    return ReceiptContinuation(temperature=temperature, seed=SEED, tokens=(bos, *stream))


def _tokenizer_facts(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what is needed to encode and decode texts, other than the file of BPE."""
    facts = tokenizer_fields(tokenizer)
    special = {str(tokenizer.names[token]): token for token in tokenizer.special_ids}
    return {name: fact for name, fact in facts.items() if fact is not None} | {"ids": special}
