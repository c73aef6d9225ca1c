"""The shape of a GPT, validated on creation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from microgpt.errors import ConfigError
from microgpt.fields import MAX_SIZE as MAX_SIZE
from microgpt.fields import Limits, check_fields, setting
from microgpt.fields import check_choice as check_choice
from microgpt.fields import check_whole as check_whole

Positions = Literal["learned", "rotary"]
Activation = Literal["relu", "relu2"]

# The architecture of the text presets and of `train --minutes`, which differs from Karpathy's, and
# what of it llama.cpp and transformers have, too; see `model_variants`.
MODERN: Mapping[str, Any] = {
    "positions": "rotary", "token_shift": True, "activation": "relu2", "qk_norm": True,
    "final_norm": True, "out_scale": 0.1,
}  # fmt: skip
PORTABLE: Mapping[str, Any] = {
    "positions": "rotary", "token_shift": False, "activation": "relu2", "qk_norm": True,
    "final_norm": True,
}  # fmt: skip
SCALE: Limits = ("a number greater than 0", lambda x: 0 < x <= 1e38)
OPTIONS = ("positions", "token_shift", "activation", "qk_norm", "final_norm")


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a GPT. Raises ConfigError if a value is invalid."""

    n_embd: int = setting(16, "Embedding width.", panel="Model", short=True)
    n_head: int = setting(4, "Number of attention heads; must divide n_embd.", panel="Model")
    n_layer: int = setting(1, "Number of transformer blocks.", panel="Model", short=True)
    block_size: int = setting(16, "Context length in tokens.", panel="Model", short=True)
    n_ff_exp: int = setting(4, "MLP width, in multiples of n_embd.", panel="Model")
    # The number of tokens: 0 until `train` sets it from the tokenizer.
    vocab_size: int = setting(0, "Size of the vocabulary.", minimum=0)
    init_std: float = setting(
        0.08, "Standard deviation of the initial weights, as in Karpathy's script.", limits=SCALE
    )
    # See `model_variants` for the next six.
    positions: Positions = setting(
        "learned", "Learned or rotary position embeddings.", panel="Model"
    )
    activation: Activation = setting(
        "relu", "Activation of the MLP: ReLU or squared ReLU.", panel="Model"
    )
    token_shift: bool = setting(
        False, "Let embeddings and MLPs also read the previous token.", panel="Model"
    )
    qk_norm: bool = setting(False, "Normalize queries and keys.", panel="Model")
    final_norm: bool = setting(False, "Normalize before the projection to logits.", panel="Model")
    out_scale: float = setting(
        1.0,
        "Scale factor of the initial attn_wo and mlp_fc2 weights.",
        panel="Model",
        limits=SCALE,
    )

    def __post_init__(self) -> None:
        check_fields(self)
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
