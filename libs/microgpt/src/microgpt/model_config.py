"""The shape of a GPT, validated on creation; `model_variants` explains the architectures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from numbers import Integral, Real
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from microgpt.errors import ConfigError

Architecture = Literal["karpathy", "modern", "portable"]
Limits = tuple[str, Callable[[Any], bool]]  # description of the valid values, and a test for them
MAX_SIZE = 2**31 - 1  # maximum of each size and count
SCALE: Limits = ("a number greater than 0", lambda x: 0 < x <= 1e38)


def setting(default: object, help: str, *flags: str, **facts: Any) -> Any:
    """Return the dataclass field of a setting; `microgpt.config` explains the arguments."""
    return field(default=default, metadata={"help": help, "flags": flags, **facts})


shape = partial(setting, panel="Model")


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a GPT. Raises ConfigError if a value is invalid."""

    n_embd: int = shape(16, "Embedding width.", short=True)
    n_head: int = shape(4, "Number of attention heads; must divide n_embd.")
    n_layer: int = shape(1, "Number of transformer blocks.", short=True)
    block_size: int = shape(16, "Context length in tokens.", short=True)
    n_ff_exp: int = shape(4, "MLP width, in multiples of n_embd.")
    vocab_size: int = setting(0, "Number of tokens; 0 until `train` sets it.", minimum=0)
    init_std: float = setting(0.08, "Standard deviation of the initial weights.", limits=SCALE)
    architecture: Architecture = shape(
        "karpathy", "Architecture: modern has a lower loss; gguf and transformers need portable."
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.n_embd % self.n_head:
            raise ConfigError(
                f"n_embd ({self.n_embd}) must be divisible by n_head ({self.n_head}); change "
                f"n_head, or try n_embd {self.n_head * max(1, round(self.n_embd / self.n_head))}"
            )
        if not self.is_karpathys and self.head_dim % 2:
            raise ConfigError(
                f"architecture {self.architecture} needs an even n_embd / n_head, got "
                f"{self.head_dim}; try n_embd {self.n_head * (self.head_dim + 1)}"
            )

    @property
    def is_karpathys(self) -> bool:
        """Whether the architecture is that of Karpathy's microgpt.py."""
        return self.architecture == "karpathy"

    @property
    def n_positions(self) -> int:
        """The number of learned position embeddings."""
        return self.block_size if self.is_karpathys else 0

    @property
    def head_dim(self) -> int:
        """The number of dimensions per attention head."""
        return self.n_embd // self.n_head

    def check_token(self, token: int, position: int) -> None:
        """Raise ConfigError if a token is not in the vocabulary or its position is out of range."""
        V, limit = self.vocab_size, self.block_size
        if not (0 <= token < V and position < limit):
            raise ConfigError(f"out of range: token {token} of {V}, position {position} of {limit}")


def check_fields(settings: Any) -> None:
    """Validate all fields of a dataclass, and convert NumPy numbers to int or float."""
    for each in fields(settings):
        if (value := getattr(settings, each.name)) is not each.default:
            value = checked(each.name, value, each.type, **each.metadata)
            object.__setattr__(settings, each.name, value)


def checked(name: str, value: Any, kind: Any, **facts: Any) -> Any:
    """Return the value of a setting, or raise ConfigError if it breaks one of the `rules`."""
    kind, *others = get_args(kind) if NoneType in get_args(kind) else (kind,)
    if value is None and others:
        return None
    if isinstance(value, Real) and not isinstance(value, bool):
        value = int(value) if isinstance(value, Integral) else float(value)
    for rule, holds in rules(kind, **facts):
        if not holds(value):
            is_huge = type(value) is int and abs(value) > 10**4000  # repr fails
            text = hex(value) if is_huge else repr(value)
            raise ConfigError(f"{name} must be {rule}, got {text[:24]}{'…' * (len(text) > 24)}")
    return value


def rules(kind: Any, minimum: int = 1, maximum: int = MAX_SIZE, **facts: Any) -> Iterator[Limits]:
    """Yield the description and the test of each rule for a value of type `kind`."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        yield " or ".join(map(repr, choices)), lambda x: isinstance(x, str) and x in choices
    elif kind is int:
        yield "an integer", lambda x: type(x) is int
        yield f">= {minimum}", lambda x: x >= minimum
        yield f"at most {maximum}", lambda x: x <= maximum
    elif kind is float:
        rule, fits = facts["limits"]
        yield rule, lambda x: type(x) in (int, float) and fits(x)
    elif kind in (bool, str):
        yield "True or False" if kind is bool else "a text", lambda x: isinstance(x, kind)
