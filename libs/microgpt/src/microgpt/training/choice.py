"""Choose the model and the training settings that fit the documents and a budget of operations."""

from collections.abc import Mapping, Sequence
from math import ceil, log
from types import MappingProxyType
from typing import Any, NamedTuple

from microgpt.config import EngineName, ModelConfig, TextKind, TrainConfig
from microgpt.data.split import Split
from microgpt.data.tokenizer import Tokenizer, texts_of
from microgpt.errors import ConfigError
from microgpt.model import count_params
from microgpt.training.operations import evaluation_operations, step_operations
from microgpt.training.presets import VARIANT

# `fingerprint` of the bundled names.txt, Karpathy's data.
NAMES_SHA256 = "816d2a728695db28a20e17eae61c9c423091a511b3df09a06a489dccbf0876c7"
# Operations without --minutes: about a minute on one core of an AMD EPYC (Zen 5).
DEFAULT_BUDGET: Mapping[EngineName, float] = {"compiled": 1e13, "reference": 1e9}
MAX_CONTEXT = 256  # longer documents are split into windows
SHARE_THAT_FITS = 0.99  # minimum fraction of the documents that fit into the context
N_SAMPLED = 10_000  # number of evenly spaced documents whose lengths are measured
HELD_OUT = 40_000  # maximum number of characters in each held-out set
EVALUATION_SHARE = 0.05  # maximum share of the operations for evaluations
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Choice(NamedTuple):
    """A model shape and matching training settings."""

    model: ModelConfig
    config: TrainConfig
    operations: float  # cost of the training run, including evaluations
    limit: str | None = None  # why the operations are fewer than the budget


class _Sizes(NamedTuple):
    """Sizes of the training set in tokens, estimated from a sample of the documents."""

    lengths: Sequence[int]  # number of predicted tokens per sampled document, ascending
    n_docs: int

    @property
    def n_tokens(self) -> float:
        return sum(self.lengths) * self.n_docs / len(self.lengths)

    def chunk_length(self, context: int) -> float:
        """Return the mean number of tokens per chunk."""
        n_chunks = sum(ceil(length / context) for length in self.lengths)
        return sum(self.lengths) / n_chunks


def choose(
    parts: Split,
    tokenizer: Tokenizer,
    budget: float,
    *,
    text: TextKind,
    fixed: Mapping[str, Any] = NOTHING,
    max_weights: int | None = None,
    max_bytes: int | None = None,
) -> Choice:
    """Return the settings that are expected to give the lowest held-out loss.

    They depend on the documents and the budget only. docs/choice.md explains the rule.

    Args:
        budget: operations for training and evaluations; see `training.operations`.
        fixed: settings to keep, by name; the others are chosen to match.
        max_weights: maximum number of weights.
        max_bytes: maximum memory of a training run on one thread, without the documents.

    Raises:
        ConfigError: no model is small enough.
    """
    sizes = _measure(parts, tokenizer)
    tokens = max(1.0, sizes.n_tokens)
    useful = min(budget, 1.5e8 * tokens)  # TO FIT
    width = fixed.get("n_embd") or max(16, 8 * round(64 * (useful / 1e13) ** 0.25 / 8))
    context = fixed.get("block_size") or (128 if text == "stream" else _context(sizes.lengths))
    while True:
        n_layer = fixed.get("n_layer") or max(1, round(width / 21))
        shape = {"n_embd": width, "n_layer": n_layer, "block_size": context, **VARIANT}
        shape |= {name: fixed[name] for name in vars(ModelConfig()) if name in fixed}
        model = ModelConfig(**{**shape, "vocab_size": tokenizer.vocab_size})
        length = min(sizes.chunk_length(model.block_size), model.block_size)
        batch_size = max(1, round(1024 / length))
        config = TrainConfig(
            batch_size=batch_size,
            lr=round(0.004 * min(1, (64 / width) ** 0.5), 5),
            optimizer="muon",
            weight_decay=0.1,
            text=text,
        )
        if _fits(model, config, length, max_weights, max_bytes):
            break
        if "n_embd" in fixed or width <= 8:
            raise ConfigError("no model is small enough; increase --max-weights or --max-memory")
        width -= 8
    config = _with(config, fixed)
    per_step = step_operations(model, config, length)
    n_held_out = sum(map(tokenizer.count, map(str, parts.validation)))  # TO FIX: conversations
    evaluations = 20
    if n_held_out:
        per_evaluation = evaluation_operations(model, length, 2 * n_held_out)
        evaluations = min(20, max(1, int(EVALUATION_SHARE * useful / per_evaluation)))
        useful -= (evaluations + 1) * per_evaluation
    steps = max(1, int(useful / per_step))
    epochs = steps * config.batch_size * length / tokens
    dropout = min(0.3, max(0.0, 0.045 * (log(max(epochs, 1e-9)) - 1.5)))
    config = _with(
        config,
        {
            "steps": steps,
            "warmup_steps": steps // 30,
            "evaluations": evaluations,
            "dropout": round(dropout, 2),
        }
        | dict(fixed),
    )
    limit = "the data are too small for more" if useful < 0.9 * budget else None
    return Choice(model, config, config.steps * per_step, limit)


def default_choice(
    parts: Split, tokenizer: Tokenizer, engine: EngineName, text: TextKind
) -> Choice:
    """Return Karpathy's settings for his names, else the choice for `DEFAULT_BUDGET`."""
    raise NotImplementedError
