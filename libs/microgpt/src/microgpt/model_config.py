"""The shape of a GPT, validated on creation."""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin

from microgpt.errors import ConfigError

Positions = Literal["learned", "rotary"]
Activation = Literal["relu", "relu2"]

OPTIONS = ("positions", "token_shift", "activation", "qk_norm", "final_norm")
MAX_SIZE = 2**31 - 1  # upper limit for all sizes and counts


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a GPT. Raises ConfigError if a value is invalid."""

    n_embd: int = 16  # width: number of embedding dimensions
    n_head: int = 4  # number of attention heads, with n_embd / n_head dimensions each
    n_layer: int = 1  # depth: number of transformer blocks
    block_size: int = 16  # context length in tokens
    n_ff_exp: int = 4  # hidden width of the MLP, in multiples of n_embd
    vocab_size: int = 0  # number of tokens; 0 until `train` sets it from the tokenizer
    init_std: float = 0.08  # standard deviation of the initial weights, as in Karpathy's script
    positions: Positions = "learned"  # see `model_variants` for this and the next five fields
    token_shift: bool = False
    activation: Activation = "relu"
    qk_norm: bool = False
    final_norm: bool = False
    out_scale: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, vocab_size={"minimum": 0})
        for name, number in (("init_std", self.init_std), ("out_scale", self.out_scale)):
            is_number = isinstance(number, Real) and not isinstance(number, bool)
            if not (is_number and 0 < number <= 1e38):
                raise ConfigError(f"{name} must be a number greater than 0")
            object.__setattr__(self, name, float(number))  # a NumPy number becomes a float
        if self.positions == "rotary" and self.n_embd // self.n_head % 2:
            raise ConfigError("rotary positions need an even number of dimensions per head")
        if self.n_embd % self.n_head:
            raise ConfigError(
                f"n_embd ({self.n_embd}) must be divisible by n_head ({self.n_head}); "
                f"try n_embd {self.n_head * max(1, round(self.n_embd / self.n_head))}"
            )

    @property
    def n_positions(self) -> int:
        """The number of learned position embeddings."""
        return self.block_size if self.positions == "learned" else 0

    @property
    def head_dim(self) -> int:
        """The number of dimensions per attention head."""
        return self.n_embd // self.n_head

    def check_token(self, token: int, position: int) -> None:
        """Raise ConfigError if a token is not in the vocabulary or beyond the context."""
        V, limit = self.vocab_size, self.block_size
        if not (0 <= token < V and position < limit):
            raise ConfigError(f"out of range: token {token} of {V}, position {position} of {limit}")


def count_params(config: ModelConfig) -> int:
    """Return the number of weights of a model."""
    C, block = config.n_embd, (4 + 2 * config.n_ff_exp) * config.n_embd**2
    return (2 * config.vocab_size + config.n_positions) * C + config.n_layer * block


def check_options(config: ModelConfig, model: object) -> None:
    """Raise ConfigError if a setting that is not in `model.options` differs from its default."""
    for name in OPTIONS:
        value = getattr(config, name)
        if value != getattr(ModelConfig, name) and name not in getattr(model, "options", ()):
            raise ConfigError(f"{name} {value} requires microgpt.model_variants.GptVariant")


def check_fields(settings: Any, **limits: dict[str, int]) -> None:
    """Check the integers (at least 1 unless `limits` specify otherwise), choices and flags."""
    for field in fields(settings):
        name, kind, value = field.name, field.type, getattr(settings, field.name)
        if kind is int or (kind == int | None and value is not None):
            value = check_whole(name, value, **limits.get(name, {"minimum": 1}))
            object.__setattr__(settings, name, value)
        elif kind is bool and not isinstance(value, bool):
            raise ConfigError(f"{name} must be True or False, got {value!r:.24}")
        elif get_origin(kind) is Literal:
            check_choice(name, value, kind)


def check_whole(name: str, value: int, *, minimum: int, maximum: int = MAX_SIZE) -> int:
    """Return a setting as an int; raise ConfigError unless it is from minimum to maximum."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(f"{name} must be an integer, got {value!r:.24}")
    if value < minimum:
        raise ConfigError(f"{name} must be >= {minimum}, got {max(value, -(10**20))}")
    if value > maximum:
        raise ConfigError(f"{name} must be at most {maximum}")
    return int(value)  # a NumPy integer becomes an int


def check_choice(name: str, value: str | None, choices: Any) -> None:
    """Raise ConfigError unless a setting is one of the values of a Literal type."""
    *others, last = (f'"{choice}"' for choice in get_args(choices))
    if f'"{value}"' not in (*others, last):
        raise ConfigError(f'unknown {name} "{value}" (expected {", ".join(others)} or {last})')
