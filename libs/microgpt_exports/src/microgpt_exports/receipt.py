"""The receipt of an exported model: results to compare with those of another program.

The model generates the texts of its receipt, so the receipt contains no training documents unless
the model reproduces some. Tokens are those of the model; the receipt's `tokenizer` decodes them.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from microgpt import (
    TOKENIZERS,
    CheckpointError,
    InferenceGpt,
    MicrogptError,
    ModelConfig,
    SavedModel,
    SpecialTokens,
    Tokenizer,
    TokenizerKind,
    Verification,
    count_params,
    first_problem,
    other_version,
    restore_tokenizer,
    tokenizer_fields,
)

# A function that reads tokens after those in a cache (None: empty), and returns the logits after
# each token read, (T, V), and the new cache.
Program = Callable[[Sequence[int], Any], tuple[NDArray[Any], Any]]

FORMAT_VERSION = 4  # receipts of earlier versions contain different results, and are refused
N_TEXTS, MAX_TOKENS = 16, 256  # number of texts; maximum number of new tokens per text
SEED = 42  # seed of the first text
MAX_LAYERS = 512  # llama.cpp supports no more
MOST = 1e-3  # maximum accepted difference in a token's log-probability, in nats
PIECE = 16  # number of tokens read at once; limits the memory for the logits of large vocabularies
# Exceptions that reading a damaged JSON file can raise.
DAMAGE = (
    MicrogptError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip

Tokens = Annotated[tuple[int, ...], Field(min_length=2, max_length=MAX_TOKENS + 1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class ReceiptText(_Strict):
    """A text with the log-probability of each token after the first, in nats."""

    tokens: Tokens
    log_probabilities: tuple[float, ...]


class ReceiptTokenizer(BaseModel):
    """The data for encoding and decoding texts; the receipt omits fields that are None."""

    tokenizer: TokenizerKind
    chars: tuple[str, ...] | None = None
    special_tokens: SpecialTokens | None = None
    fold: bool | None = None
    ids: dict[str, int]  # ids of the special tokens by name
    file: dict[str, Any] | None = None  # content of tokenizer.json; None without subwords


class Receipt(_Strict):
    """The description of a model, and its results with the exported weights."""

    format_version: int = FORMAT_VERSION
    created_by: str
    format: str  # name of the export format
    name: Annotated[str, Field(max_length=255)]  # name of the file or the directory
    model: ModelConfig
    model_sha256: Sha256  # hash of the model's weights file, as in meta.json
    weights_sha256: Sha256  # hash of the weights in the export
    tokenizer: ReceiptTokenizer
    texts: Annotated[tuple[ReceiptText, ...], Field(min_length=1, max_length=N_TEXTS)]
    greedy: Tokens  # BOS, and a greedy continuation of up to MAX_TOKENS tokens

    def to_json(self) -> str:
        """Return the receipt as one line of ASCII."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True))

    def restored_tokenizer(self, path: Path) -> Tokenizer:
        """Return the tokenizer; raise CheckpointError if it is invalid for the model."""
        fields = self.tokenizer
        content = (path, json.dumps(fields.file).encode())
        has_file = TOKENIZERS[fields.tokenizer].has_file
        return restore_tokenizer(path, fields, content if has_file else None, self.model.vocab_size)


def make_receipt(saved: SavedModel, format: str, name: str) -> Receipt:
    """Return the receipt of an export, with a placeholder for the hash of the weights."""
    gpt = InferenceGpt(saved)
    tokenizer = gpt.tokenizer
    facts = tokenizer_fields(tokenizer) | {
        "ids": {str(tokenizer.names[token]): token for token in tokenizer.special_ids},
        "file": tokenizer.file and json.loads(tokenizer.file),
    }
    return Receipt(
        created_by=f"microgpt {version('microgpt-lib')}",
        format=format,
        name=name,
        model=saved.model,
        model_sha256=saved.sha256,
        weights_sha256="0" * 64,
        tokenizer=ReceiptTokenizer.model_validate(facts),
        texts=tuple(_text(gpt, SEED + i) for i in range(N_TEXTS)),
        greedy=tuple(_generated(gpt, [tokenizer.bos_id], 0, SEED)),
    )


def read_receipt(content: str, path: Path, n_bytes: int) -> Receipt:
    """Parse a receipt; raise CheckpointError if it is invalid or its weights need over n_bytes."""
    if problem := other_version(content, "format_version", FORMAT_VERSION):
        raise CheckpointError(f"{path}: {problem}")
    with damaged(path):
        receipt = Receipt.model_validate_json(content)
        model, known = receipt.model, range(receipt.model.vocab_size)
        for tokens in [receipt.greedy, *(text.tokens for text in receipt.texts)]:
            if len(tokens) > model.block_size + 1 or not all(token in known for token in tokens):
                raise CheckpointError("a text does not fit its model")
        if any(len(each.log_probabilities) != len(each.tokens) - 1 for each in receipt.texts):
            raise CheckpointError("a text lacks log-probabilities")
        if model.n_layer > MAX_LAYERS:
            raise CheckpointError(f"the model has {model.n_layer} layers, more than {MAX_LAYERS}")
    if 4 * count_params(model) > n_bytes:
        raise CheckpointError(f"{path} has fewer weights than its receipt says")
    return receipt


@contextmanager
def damaged(path: Path, what: str = "the receipt is damaged: ") -> Iterator[None]:
    """Convert errors to CheckpointErrors with messages that begin with a path and `what`."""
    try:
        yield
    except DAMAGE as error:
        problem = first_problem(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: {what}{problem}") from error


@dataclass(frozen=True)
class Comparison:
    """The differences between the results of a program and a receipt."""

    largest: float  # largest difference in a log-probability, in nats; NaN if any result is NaN
    n_equal: int  # number of equal tokens at the start of the greedy continuation
    n_greedy: int

    @property
    def verification(self) -> Verification:
        """The outcome: success if the greedy continuations agree and no difference exceeds MOST."""
        is_equal = self.n_equal == self.n_greedy
        outcome = "equal" if is_equal else f"token {self.n_equal + 1} differs"
        lines = (
            f"greedy continuation: {outcome} ({self.n_greedy} tokens)",
            f"largest difference: {self.largest:.1e} nats (at most {MOST:g})",
        )
        return Verification(lines, is_equal and self.largest <= MOST)


def compare(receipt: Receipt, program: Program) -> Comparison:
    """Run a program on the texts of a receipt, and compare its results with the receipt."""
    differences = []
    for text in receipt.texts:
        logits = _logits_of(program, text.tokens[:-1])
        with np.errstate(all="ignore"):  # no warnings: a NaN difference fails the comparison
            logits -= np.logaddexp.reduce(logits, 1, keepdims=True)
            found = logits[range(len(logits)), text.tokens[1:]]
            differences.append(np.abs(found - text.log_probabilities).max())
    likeliest = _logits_of(program, receipt.greedy[:-1]).argmax(1)
    is_equal = [*(likeliest == receipt.greedy[1:]), False]
    return Comparison(float(np.max(differences)), is_equal.index(False), len(likeliest))


def _logits_of(program: Program, tokens: Sequence[int]) -> NDArray[Any]:
    """Return the float64 logits after each token (T, V), reading up to PIECE tokens at once."""
    rows, cache = [], None
    for start in range(0, len(tokens), PIECE):
        logits, cache = program(tokens[start : start + PIECE], cache)
        rows.append(logits.astype(float))
    return np.concatenate(rows)


def _text(gpt: InferenceGpt, seed: int) -> ReceiptText:
    """Return a generated text with the log-probability of each token after the first."""
    tokens = generated_text(gpt, seed)
    rows = gpt.log_probabilities(tokens[:-1])
    each = tuple(row[token] for row, token in zip(rows, tokens[1:], strict=True))
    return ReceiptText(tokens=tuple(tokens), log_probabilities=each)


def generated_text(gpt: InferenceGpt, seed: int) -> list[int]:
    """Return the tokens of a generated document, with its end token if it has one."""
    bos_id = gpt.tokenizer.bos_id
    first = [bos_id, gpt.tokenizer.role_id("user")] if gpt.tokenizer.is_chat else [bos_id]
    return _generated(gpt, first[: gpt.config.block_size], 1, seed, stop=(bos_id,))


def _generated(
    gpt: InferenceGpt, first: list[int], temperature: float, seed: int, stop: tuple[int, ...] = ()
) -> list[int]:
    """Return tokens from `first` on, up to a stop token, a full context or MAX_TOKENS tokens."""
    stream = gpt.generate_from_prompt(
        first,
        stop=stop,
        max_tokens=min(MAX_TOKENS, gpt.config.block_size) + 1 - len(first),
        temperature=temperature,
        rng=random.Random(seed),
    )
    tokens = [*first, *stream]
    return [*tokens, *stop] if stream.finish_reason == "stop" else tokens
