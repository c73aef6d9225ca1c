"""Settings of models, trainings and sampling, checked when they are made.

The defaults are those of Karpathy's run; the command line reads them from here.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

from microgpt.errors import ConfigError
from microgpt.model_config import MAX_SIZE as MAX_SIZE
from microgpt.model_config import ModelConfig as ModelConfig
from microgpt.model_config import check_whole

LossOn = Literal["assistant", "all"]
LongDocs = Literal["window", "truncate", "skip"]
TextKind = Literal["lines", "stream"]
EngineName = Literal["compiled", "reference"]  # see `engines`
DType = Literal["float32", "float64"]
WeightsFormat = Literal["json", "safetensors"]

DEFAULT_SEED, MAX_SEED = 42, 2**63 - 1
MAX_THREADS = 1024  # a guard against typing errors; more than there are cores gain nothing
N_EVALUATIONS = 20  # measurements of the held-out loss in a training
DEFAULT_TEMPERATURE = 0.5  # of samples; a little more careful than the model's own odds


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training. Raises ConfigError if one is outside its range."""

    steps: int = 1000  # updates of the weights
    batch_size: int = 1  # documents per step
    lr: float = 0.01  # learning rate of the first step; it falls linearly to 0 after the last
    seed: int = DEFAULT_SEED  # of document order, initial weights and the samples that follow
    shuffle: bool = True  # whether documents are read in a random order, or in their own
    loss_on: LossOn = "assistant"  # of a conversation: the turns to learn; of a text all is learnt
    long_docs: LongDocs = "window"  # longer than the context: learnt in chunks, cut, or left out
    text: TextKind = "lines"  # whether texts are documents, or running text that has no end
    patience: int | None = None  # stop early after so many held-out losses without a better one
    weight_decay: float = 0.0  # AdamW: share of lr by which each weight shrinks per step
    dropout: float = 0.0  # probability, in the residual stream's branches
    average_tail: float = 0.0  # share of the training, its end, whose weights are averaged
    beta1: float = 0.85  # Adam: decay of the running mean of the gradients, per step
    beta2: float = 0.99  # Adam: decay of the running mean of their squares, per step
    adam_eps: float = 1e-8  # Adam: keeps the division finite

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("batch_size", self.batch_size)
        if self.patience is not None:
            check_count("patience", self.patience)
        check_seed(self.seed)
        check_choice("loss_on", self.loss_on, LossOn)
        check_choice("long_docs", self.long_docs, LongDocs)
        check_choice("text", self.text, TextKind)
        for name in ("lr", "adam_eps"):
            _check_number(name, getattr(self, name), "a number above 0", lambda x: x > 0)
        _check_number("weight_decay", self.weight_decay, "a number >= 0", lambda x: x >= 0)
        if self.weight_decay * self.lr > 1:  # would take more of a weight than there is
            raise ConfigError(
                f"weight_decay ({self.weight_decay:g}) must be at most 1 / lr ({1 / self.lr:g})"
            )
        _check_number("average_tail", self.average_tail, "from 0 to 1", lambda x: 0 <= x <= 1)
        for name in ("dropout", "beta1", "beta2"):
            _check_number(name, getattr(self, name), "in [0, 1)", lambda x: 0 <= x < 1)

    @property
    def steps_between_evaluations(self) -> int:
        """The held-out loss is measured 20 times, or after each step of a shorter training."""
        return max(1, self.steps // N_EVALUATIONS)

    def lr_at(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0, or of each in an array of steps."""
        return self.lr * (1 - step / self.steps)


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Raises ConfigError if a setting is outside its range.

    The temperature applies first; each of the other settings filters what the one before it kept.
    """

    temperature: float = DEFAULT_TEMPERATURE  # 0 takes the likeliest, 1 follows the model's odds
    top_k: int | None = None  # keeps so many of the likeliest
    top_p: float = 1.0  # keeps the fewest of the likeliest that together have this share
    min_p: float = 0.0  # keeps those that have this share of the likeliest one's probability

    def __post_init__(self) -> None:
        if not _is_finite(self.temperature):
            got = f"{self.temperature!r:.20}"
            raise ConfigError(f"temperature must be a finite number >= 0, got {got}")
        if self.temperature < 0:
            raise ConfigError(f"temperature must be >= 0, got {self.temperature}")
        if self.top_k is not None:
            check_count("top_k", self.top_k)
        for name in ("top_p", "min_p"):
            _check_number(name, getattr(self, name), "from 0 to 1", lambda x: 0 <= x <= 1)


def check_seed(seed: int) -> None:
    """Raise ConfigError unless the seed is a whole number from 0 to 2**63 - 1."""
    check_whole("seed", seed, minimum=0, maximum=MAX_SEED)


def check_count(name: str, count: int) -> None:
    """Raise ConfigError unless a setting is a whole number of at least 1."""
    check_whole(name, count, minimum=1)


def check_threads(threads: int) -> None:
    """Raise ConfigError unless the number of threads is one that makes sense."""
    check_whole("threads", threads, minimum=1, maximum=MAX_THREADS)


def check_choice(name: str, value: str | None, choices: Any) -> None:
    """Raise ConfigError unless a setting is one of the values of a Literal type."""
    *others, last = (f'"{choice}"' for choice in get_args(choices))
    if f'"{value}"' not in (*others, last):
        raise ConfigError(f'unknown {name} "{value}" (expected {", ".join(others)} or {last})')


def _check_number(name: str, value: float, rule: str, is_in_range: Callable[[float], bool]) -> None:
    if not (_is_finite(value) and is_in_range(value)):
        raise ConfigError(f"{name} must be {rule}, got {value!r:.24}")  # as long as a float gets


def _is_finite(value: float) -> bool:
    return isinstance(value, Real) and abs(value) <= sys.float_info.max  # not nan, not 10**400
