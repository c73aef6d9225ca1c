"""Presets: tested training recipes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.plugins import plugin

PresetName = Literal[
    "names-10s", "names-60s", "names-600s",
    "text-60s", "text", "text-300s", "shakespeare", "karpathy", "chat",
]  # fmt: skip


# Architecture of the text presets, which differs from Karpathy's; see `model_variants`.
VARIANT: dict[str, Any] = {
    "positions": "rotary", "token_shift": True, "activation": "relu2", "qk_norm": True,
    "final_norm": True, "out_scale": 0.1,
}  # fmt: skip
# What of it llama.cpp and transformers have, too.
PORTABLE: dict[str, Any] = {
    "positions": "rotary", "token_shift": False, "activation": "relu2", "qk_norm": True,
    "final_norm": True,
}  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A model shape, training settings and default data."""

    model: ModelConfig
    config: TrainConfig
    # None: the user must specify a data file
    data: Literal["names", "shakespeare", "grammar"] | None = "names"
    val_fraction: float = 0.1  # fraction of the documents to hold out for validation
    test_fraction: float = 0.1  # fraction of the documents to hold out for testing
    fold: bool = False  # whether to fold case and accents with `FoldingTokenizer`
    n_teachers: int = 0  # the settings are those of each, if there is an ensemble
    student_length: float = 0.0  # steps of its student, per step of a teacher
    n_conversations: int = 0  # number of conversations to generate; a small set would be memorised

    def draw(self, seed: int) -> Sequence[Document]:
        """Generate the training conversations for a seed, in the order in which to read them."""
        draw: Callable[[int, int], Sequence[Document]] | None = plugin("grammars", "chat")
        if draw is None:
            raise ConfigError(
                "--preset chat without --data requires the package microgpt-characters; install it"
            )
        return draw(self.n_conversations, seed)


def _names(
    n_embd: int, n_layer: int, *, student_length: float = 0.0, n_teachers: int = 0, **settings: Any
) -> Preset:
    """Return a recipe for names, tuned on their validation split."""
    config = TrainConfig(optimizer="muon", **settings)
    model = ModelConfig(n_embd=n_embd, n_layer=n_layer, **VARIANT)
    return Preset(model, config, n_teachers=n_teachers, student_length=student_length)


def _text(n_embd: int, *, block_size: int = 128, steps: int, **settings: Any) -> Preset:
    """Return a recipe for running text, tuned on parts of Shakespeare."""
    model = ModelConfig(n_embd=n_embd, n_layer=4, block_size=block_size, **VARIANT)
    config = TrainConfig(
        steps=steps, batch_size=1024 // block_size, lr=0.003, optimizer="muon",
        warmup_steps=steps // 20, weight_decay=0.1, **settings,
    )  # fmt: skip
    return Preset(model, config, data=None)


_TEXT_180S = _text(96, steps=3_900, dropout=0.05)

# Losses of the presets: docs/measurements/quality.md. Longer training runs repeat the data more
# often, so they need more dropout.
PRESETS: dict[PresetName, Preset] = {
    "names-10s": _names(
        48, 2, steps=2_600, batch_size=128, lr=0.004, warmup_steps=52, dropout=0.03,
        weight_decay=0.1, average_tail=0.3,
    ),
    # Ensembles: the settings are those of each teacher.
    "names-60s": _names(
        80, 2, steps=1_830, batch_size=128, lr=0.004, warmup_steps=36, dropout=0.04,
        weight_decay=0.1, average_tail=0.1, n_teachers=3, student_length=1.63,
    ),
    "names-600s": _names(
        88, 3, steps=4_400, batch_size=176, lr=0.005, warmup_steps=147, dropout=0.2,
        weight_decay=0.05, n_teachers=6, student_length=2.8,
    ),
    "text-60s": _text(64, steps=2_800, dropout=0.0),
    "text": _TEXT_180S,
    "text-300s": _text(
        96, block_size=256, steps=5_680, dropout=0.02, average_tail=0.1,
    ),
    "shakespeare": replace(_TEXT_180S, data="shakespeare", val_fraction=0.0),
    "karpathy": Preset(ModelConfig(), TrainConfig(), val_fraction=0.0, test_fraction=0.0),
    "chat": Preset(
        # Four layers of width 96 learn more arithmetic than six of width 64, at equal cost.
        ModelConfig(n_embd=96, n_head=3, n_layer=4, block_size=256, n_ff_exp=1, **VARIANT),
        TrainConfig(
            steps=6_912, batch_size=48, lr=0.002, optimizer="muon", warmup_steps=138,
            weight_decay=0.1,
        ),
        data="grammar",
        val_fraction=0.0,
        test_fraction=0.0,
        fold=True,
        n_conversations=184_320,
    ),
}  # fmt: skip
