"""Presets: tested recipes with every setting fixed, the number of steps too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.tokenizer import Document

PresetName = Literal["names-10s", "names-60s", "names-600s", "text", "karpathy", "chat"]


@dataclass(frozen=True)
class Preset:
    """The settings of a training, and the data that it has by default."""

    model: ModelConfig
    config: TrainConfig
    data: Literal["names", "grammar"] | None = "names"  # None: the user names a file
    val_fraction: float = 0.1  # share of the documents to hold out for choosing weights
    test_fraction: float = 0.1  # share to hold out for the final loss
    n_conversations: int = 0  # drawn from the grammar; fewer, read more often, are memorised

    def draw(self, seed: int) -> Sequence[Document]:
        """Return the conversations that a training with this seed learns from."""
        from microgpt.synthetic_chat import conversations, messages

        return [messages(drawn) for drawn in conversations("train", self.n_conversations, seed)]


# The names: chosen on the validation part; what they reach, and what each setting is worth, is in
# docs/quality.md. The data run out before the time does: more time needs more dropout.
PRESETS: dict[PresetName, Preset] = {
    "names-10s": Preset(
        ModelConfig(n_embd=48, n_layer=2),
        TrainConfig(
            steps=7_500, batch_size=64, lr=0.008, dropout=0.03, weight_decay=0.1,
            average_tail=0.3,
        ),
    ),
    "names-60s": Preset(
        ModelConfig(n_embd=64, n_layer=3),
        TrainConfig(
            steps=19_000, batch_size=64, lr=0.006, dropout=0.1, weight_decay=0.1,
            average_tail=0.3,
        ),
    ),
    "names-600s": Preset(
        # Deep and thin, and the mean of half the training: it would learn the names by heart else.
        ModelConfig(n_embd=64, n_layer=6, n_ff_exp=2),
        TrainConfig(
            steps=150_000, batch_size=64, lr=0.006, dropout=0.15, weight_decay=0.1,
            average_tail=0.5,
        ),
    ),
    "text": Preset(
        ModelConfig(n_embd=128, n_head=4, n_layer=4, block_size=128),
        TrainConfig(
            steps=5_000, batch_size=16, lr=0.003, dropout=0.1, weight_decay=0.1,
            average_tail=0.3,
        ),
        data=None,
    ),
    "karpathy": Preset(ModelConfig(), TrainConfig(), val_fraction=0.0, test_fraction=0.0),
    "chat": Preset(
        # Deep and thin: at this cost it learns more of arithmetic than half the layers with MLPs
        # four times as wide (docs/chat.md).
        ModelConfig(n_embd=64, n_head=4, n_layer=6, block_size=128, n_ff_exp=1),
        TrainConfig(steps=21_000, batch_size=32, lr=0.005),
        data="grammar",
        val_fraction=0.0,
        test_fraction=0.0,
        n_conversations=200_000,
    ),
}  # fmt: skip
