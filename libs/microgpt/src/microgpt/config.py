"""Model, training and sampling settings.

The defaults match Karpathy's script and are also the defaults of the command line.

`setting` creates a field from its default, its help text and the flags of its command-line option
(by default, the flag is the field name). Keyword arguments: "panel" is the section of the help (a
field without a panel has no option); "short" lists the option in `--help`, not only in
`--help-all`; "minimum" (default: 1) and "maximum" limit an integer, and "limits" limits a float.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Self, TypedDict

from microgpt.errors import ConfigError
from microgpt.learning_rate import default_lr, scheduled_lr
from microgpt.model_config import MAX_SIZE as MAX_SIZE
from microgpt.model_config import Architecture as Architecture
from microgpt.model_config import Limits, check_fields, setting
from microgpt.model_config import ModelConfig as ModelConfig
from microgpt.model_config import checked as checked

TextKind = Literal["lines", "stream"]
Optimizer = Literal["adamw", "muon"]
EngineName = Literal["compiled", "reference"]  # names of engines; see `EngineModule`
DType = Literal["float32", "float64"]
# Uses for which an engine can prepare (load or compile) its kernels.
Use = Literal["training", "threads", "evaluation", "decoding", "generation"]
WeightsFormat = Literal["json", "safetensors", "float16"]
Given = Mapping[str, Any]  # settings by name; `train` chooses the missing ones

POSITIVE: Limits = ("a number greater than 0", lambda x: 0 < x <= sys.float_info.max)
NOT_NEGATIVE: Limits = (">= 0", lambda x: 0 <= x <= sys.float_info.max)
SHARE: Limits = ("from 0 to 1", lambda x: 0 <= x <= 1)
LESS_THAN_1: Limits = ("in [0, 1)", lambda x: 0 <= x < 1)

DEFAULT_DTYPE: dict[EngineName, DType] = {"compiled": "float32", "reference": "float64"}
DEFAULT_SEED, MAX_SEED = 42, 2**63 - 1
MAX_THREADS = 1024  # a larger number is probably a typo, as it exceeds the number of cores
MAX_NEW_TOKENS = 100_000  # maximum number of new tokens per sample; bounds memory use
MUON_LR_RATIO = 6.0  # Muon's learning rate, as a multiple of AdamW's
N_ALTERNATIVES = 5  # number of most likely tokens that `explain` returns per position
DOCUMENT_HASHES = "documents.crc32"  # file with the hashes of the training documents
NOT_IN_PATHS = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")  # \udc80-\udcff are valid (PEP 383)
training = partial(setting, panel="Training")


@dataclass(frozen=True)
class TrainConfig:
    """Training settings; `microgpt train --help-all` explains those that are options.

    Invalid settings raise ConfigError. A subclass can override `lr_at`, the learning-rate schedule.
    """

    steps: int = training(1000, "Number of training steps.", short=True)
    until: int | None = training(
        None, "Stop after this step; the learning rate decays as if training continued to --steps."
    )
    lr: float | None = training(
        None,
        "Learning rate; decays linearly to 0.  [default: 0.01; lower if n_embd > 16]",
        "--learning-rate",
        "--lr",
        short=True,
        limits=POSITIVE,
    )
    # Long documents are split into chunks, each of which counts as a document of the batch.
    batch_size: int = training(1, "Number of documents per training step.")
    optimizer: Optimizer = training(
        "adamw",
        "muon: Muon for the matrices in the blocks, AdamW for the rest; start with a learning rate "
        "of 0.003.",
    )
    warmup_steps: int = training(
        0, "Increase the learning rate linearly over the first N steps.", minimum=0
    )
    dropout: float = training(0.0, "Dropout probability; reduces overfitting.", limits=LESS_THAN_1)
    weight_decay: float = training(0.0, "Weight decay coefficient.", limits=NOT_NEGATIVE)
    patience: int | None = training(
        None, "Stop after N validation checks (20 per run) without improvement."
    )
    # The seed determines the initial weights, the document order, dropout and the final samples.
    seed: int = training(
        DEFAULT_SEED,
        "Random seed; the same seed gives the same result.",
        minimum=0,
        maximum=MAX_SEED,
    )
    engine: EngineName | None = training(
        None,
        "compiled: fast. reference: plain Python, slow but readable.  [default: compiled, if it is "
        "installed]",
    )
    dtype: DType | None = training(
        None, "Precision of the weights.  [default: float32; reference: float64]"
    )
    text: TextKind = setting(
        "lines",
        "lines: one document per line. stream: one running text, the default of book-like files.",
        panel="Data",
    )
    shuffle: bool = setting(True, "Whether to read the documents in random order.")
    evaluations: int = setting(20, "Number of validation checks.")
    beta1: float = setting(0.85, "Decay rate of Adam's first moment.", limits=LESS_THAN_1)
    beta2: float = setting(0.99, "Decay rate of Adam's second moment.", limits=LESS_THAN_1)
    adam_eps: float = setting(1e-8, "Added to Adam's denominator.", limits=POSITIVE)

    def __post_init__(self) -> None:
        check_fields(self)
        fastest = (self.lr or 0) * (MUON_LR_RATIO if self.optimizer == "muon" else 1)
        if self.weight_decay * fastest > 1:  # larger values would flip the sign of the weights
            raise ConfigError(
                f"weight_decay ({self.weight_decay:g}) must be at most {1 / fastest:g} at this lr"
            )

    @property
    def steps_between_evaluations(self) -> int:
        """The number of steps between evaluations: `steps // evaluations`, at least 1."""
        return max(1, self.steps // self.evaluations)

    @property
    def initial_lr(self) -> float:
        """The learning rate before warm-up and decay are applied; `default_lr()` if none is set."""
        return default_lr() if self.lr is None else self.lr

    def with_steps(self, steps: int) -> Self:
        """Return the settings with another number of steps and a proportional warm-up."""
        return replace(self, steps=steps, warmup_steps=self.warmup_steps * steps // self.steps)

    def lr_at(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0: linear warm-up and decay to 0."""
        return scheduled_lr(self.initial_lr, step, self.steps, self.warmup_steps)


@dataclass(frozen=True)
class Sampling:
    """Sampling settings. Raises ConfigError if a setting is out of range.

    The temperature is applied first, then the filters top_k, top_p and min_p, in that order.
    """

    temperature: float = setting(
        0.5,
        "Sampling temperature; 0 always selects the most likely token.",
        short=True,
        limits=NOT_NEGATIVE,
    )
    top_k: int | None = setting(None, "Sample only from the k most likely tokens.")
    top_p: float = setting(
        1.0, "Sample from the fewest tokens whose probabilities sum to this value.", limits=SHARE
    )
    min_p: float = setting(
        0.0, "Exclude tokens below this fraction of the highest probability.", limits=SHARE
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.min_p == 1:  # top_k=1, as rounding at high temperatures could keep several tokens
            object.__setattr__(self, "top_k", 1)


class SamplingArguments(TypedDict, total=False):
    """The arguments of `Sampling`, for functions that forward them."""

    temperature: float
    top_k: int | None
    top_p: float
    min_p: float


def check_seed(seed: int) -> int:
    """Return a seed as an int; raise ConfigError unless it is from 0 to 2**63 - 1."""
    number: int = checked("seed", seed, int, minimum=0, maximum=MAX_SEED)
    return number


def check_path(name: str, path: str | os.PathLike[str]) -> None:
    """Raise ConfigError unless an argument is a valid file path."""
    if not os.fspath(path):  # such as an unset shell variable; Path would turn it into "."
        raise ConfigError(f"{name} must not be empty; use . for the current directory")
    if NOT_IN_PATHS.search(os.fspath(path)):
        raise ConfigError(f"{name} contains a NUL or a lone surrogate: {os.fspath(path)!r:.80}")
