"""Model, training and sampling settings, validated on creation.

The defaults match Karpathy's script and are also the defaults of the command line.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypedDict

from microgpt.errors import ConfigError
from microgpt.model_config import MAX_SIZE as MAX_SIZE
from microgpt.model_config import Activation as Activation
from microgpt.model_config import ModelConfig as ModelConfig
from microgpt.model_config import Positions as Positions
from microgpt.model_config import check_choice as check_choice
from microgpt.model_config import check_fields
from microgpt.model_config import check_whole as check_whole
from microgpt.schedule import default_lr as default_lr
from microgpt.schedule import learning_rate

TextKind = Literal["lines", "stream"]
Optimizer = Literal["adamw", "muon"]
EngineName = Literal["compiled", "reference"]  # see `training.engines`
DType = Literal["float32", "float64"]
Use = Literal["training", "threads", "evaluation", "decoding", "generation"]  # of an engine
WeightsFormat = Literal["json", "safetensors"]

DEFAULT_DTYPE: dict[EngineName, DType] = {"compiled": "float32", "reference": "float64"}
DEFAULT_SEED, MAX_SEED = 42, 2**63 - 1
MAX_THREADS = 1024  # guards against typos; more threads than cores have no benefit
MAX_NEW_TOKENS = 100_000  # maximum number of new tokens per sample; limits memory use
# Muon's learning rate as a multiple of AdamW's, and its momentum.
MUON_LR_RATIO, MUON_MOMENTUM = 6.0, 0.95
N_ALTERNATIVES = 5  # number of likely tokens that explain returns for each position
DOCUMENT_HASHES = "documents.crc32"  # hashes of the training documents, in a model directory
NOT_IN_PATHS = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")  # \udc80-\udcff are undecodable bytes


@dataclass(frozen=True)
class TrainConfig:
    """Training settings, each explained in the source and in `microgpt train --help-all`.

    Raises ConfigError if a setting is invalid.
    """

    steps: int = 1000  # number of weight updates, over which the learning rate falls to 0
    until: int | None = None  # step after which training ends before `steps`
    batch_size: int = 1  # number of documents (or chunks of long documents) per step
    lr: float | None = None  # initial learning rate; decays linearly to 0; None means `default_lr`
    warmup_steps: int = 0  # number of steps of linear learning-rate warm-up
    optimizer: Optimizer = "adamw"  # "muon": Muon for block matrices, AdamW for the rest
    seed: int = DEFAULT_SEED  # seed of the document order, initial weights and final samples
    shuffle: bool = True  # read documents in random order
    text: TextKind = "lines"  # whether the input is separate documents or one running text
    evaluations: int = 20  # number of evaluations of the held-out loss
    patience: int | None = None  # number of evaluations without improvement before early stopping
    weight_decay: float = 0.0  # AdamW weight decay, multiplied by lr
    dropout: float = 0.0  # dropout probability, applied to embeddings and residual branches
    average_tail: float = 0.0  # average the weights over this last fraction of the steps
    beta1: float = 0.85  # Adam: decay rate of the first moment
    beta2: float = 0.99  # Adam: decay rate of the second moment
    adam_eps: float = 1e-8  # Adam: added to the denominator to avoid division by zero

    def __post_init__(self) -> None:
        check_fields(self, warmup_steps={"minimum": 0}, seed={"minimum": 0, "maximum": MAX_SEED})
        for name in ("lr", "adam_eps"):
            if name == "adam_eps" or self.lr is not None:
                _check_field(self, name, "a number greater than 0", lambda x: x > 0)
        _check_field(self, "weight_decay", "a number >= 0", lambda x: x >= 0)
        fastest = (self.lr or 0) * (MUON_LR_RATIO if self.optimizer == "muon" else 1)
        if self.weight_decay * fastest > 1:  # larger values would flip the sign of the weights
            raise ConfigError(
                f"weight_decay ({self.weight_decay:g}) must be at most {1 / fastest:g} at this lr"
            )
        _check_field(self, "average_tail", "from 0 to 1", lambda x: 0 <= x <= 1)
        for name in ("dropout", "beta1", "beta2"):
            _check_field(self, name, "in [0, 1)", lambda x: 0 <= x < 1)

    @property
    def steps_between_evaluations(self) -> int:
        """The number of steps between evaluations: `steps // evaluations`, at least 1."""
        return max(1, self.steps // self.evaluations)

    @property
    def initial_lr(self) -> float:
        """The initial learning rate; `default_lr()` if none is set."""
        return default_lr() if self.lr is None else self.lr

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return learning_rate(
            step, lr=self.initial_lr, steps=self.steps, warmup_steps=self.warmup_steps
        )


@dataclass(frozen=True)
class Sampling:
    """Sampling settings. Raises ConfigError if a setting is out of range.

    The temperature is applied first, then the filters top_k, top_p and min_p, in that order.
    """

    temperature: float = 0.5  # 0 is greedy; 1 uses the model's probabilities
    top_k: int | None = None  # keep the k most likely tokens
    top_p: float = 1.0  # keep the smallest set of top tokens with at least this probability
    min_p: float = 0.0  # keep tokens with at least this fraction of the highest probability

    def __post_init__(self) -> None:
        _check_field(self, "temperature", ">= 0", lambda x: x >= 0)
        check_fields(self)
        for name in ("top_p", "min_p"):
            _check_field(self, name, "from 0 to 1", lambda x: 0 <= x <= 1)
        if self.min_p == 1:  # at a high temperature, rounding makes all probabilities equal
            object.__setattr__(self, "top_k", 1)


class SamplingArguments(TypedDict, total=False):
    """The arguments of `Sampling`, for functions that pass them on."""

    temperature: float
    top_k: int | None
    top_p: float
    min_p: float


def check_seed(seed: int) -> int:
    """Return a seed as an int; raise ConfigError unless it is from 0 to 2**63 - 1."""
    return check_whole("seed", seed, minimum=0, maximum=MAX_SEED)


def check_count(name: str, count: int) -> int:
    """Return a setting as an int; raise ConfigError unless it is an integer >= 1."""
    return check_whole(name, count, minimum=1)


def check_threads(threads: int) -> None:
    """Raise ConfigError unless the number of threads is from 1 to 1,024."""
    check_whole("threads", threads, minimum=1, maximum=MAX_THREADS)


def check_number(name: str, value: float, rule: str, fits: Callable[[float], bool]) -> float:
    """Return a setting, as an int or a float; raise ConfigError if it is out of range."""
    try:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        is_valid = is_number and math.isfinite(value) and fits(value)
    except OverflowError:  # an integer such as 10**400, from a file
        is_valid = False
    if not is_valid:
        raise ConfigError(f"{name} must be {rule}, got {value!r:.24}")
    return value if isinstance(value, int) else float(value)


def check_type(name: str, value: object, *kinds: Any) -> None:
    """Raise ConfigError unless an argument is an object of one of the types."""
    if not isinstance(value, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(f"{name} must be of type {expected}, not {type(value).__name__}")


def check_path(name: str, path: str | os.PathLike[str]) -> None:
    """Raise ConfigError unless an argument is a valid file path."""
    if not os.fspath(path):  # such as the value of an unset variable; Path("") is "."
        raise ConfigError(f"{name} must not be empty; use . for the current directory")
    if NOT_IN_PATHS.search(os.fspath(path)):
        raise ConfigError(f"{name} has a NUL or a lone surrogate: {os.fspath(path)!r:.80}")


def _check_field(settings: object, name: str, rule: str, fits: Callable[[float], bool]) -> None:
    # A NumPy number becomes a float.
    object.__setattr__(settings, name, check_number(name, getattr(settings, name), rule, fits))
