"""Trainings under a name: every setting fixed, the steps too, so that they can be repeated.

This module knows nothing of how they are trained.
"""

from dataclasses import dataclass
from typing import Literal

from microgpt.config import ModelConfig, TrainConfig
from microgpt.tokenizer import Conversation

PresetName = Literal["chat"]


@dataclass(frozen=True)
class Preset:
    """A training.

    Attributes:
        model: the shape.
        config: the course.
        n_conversations: drawn from the grammar to learn from, unless other data are named. Each is
            read a few times: fewer of them, read more often, would be learnt by heart.
    """

    model: ModelConfig
    config: TrainConfig
    n_conversations: int

    def draw(self, seed: int) -> list[Conversation]:
        """Return the conversations that a training with this seed learns from."""
        from microgpt.chat_grammar import conversations, messages

        return [messages(drawn) for drawn in conversations("train", self.n_conversations, seed)]


PRESETS: dict[PresetName, Preset] = {
    "chat": Preset(
        # Deep and thin: at this cost it learns more of arithmetic than half the layers with MLPs
        # four times as wide (docs/chat.md).
        ModelConfig(n_embd=64, n_head=4, n_layer=6, block_size=128, n_ff_exp=1),
        TrainConfig(steps=21_000, batch_size=32, lr=0.005),
        n_conversations=200_000,
    ),
}
