"""The genome of a budgeted search: all settings of a training run but its number of steps."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from microgpt.config import Activation, Optimizer, Positions, TextKind, TrainConfig
from microgpt.training.choice import Choice, with_steps
from microgpt_evolution.genome import BaseGenome

MAX_TOKENS_PER_STEP = 1_000_000
LIMITS: Mapping[str, tuple[float, float]] = {  # minimum and maximum of each number
    "n_embd": (1, 1024),
    "n_layer": (1, 32),
    "n_head": (1, 64),
    "n_ff_exp": (1, 16),
    "block_size": (1, 4096),
    "vocab_size": (257, 65_536),
    "n_tokens": (1, MAX_TOKENS_PER_STEP),
    "lr": (1e-6, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetedGenome(BaseGenome):
    """The settings of a training run; the number of steps follows from the operations.

    Raises:
        GenomeError: a gene is out of range, or two genes contradict each other.
    """

    limits: ClassVar = LIMITS

    n_embd: int
    n_layer: int
    n_head: int
    n_ff_exp: int
    block_size: int
    vocab_size: int | None  # size of the BPE vocabulary; None for characters
    n_tokens: int  # number of predicted tokens per step
    lr: float
    optimizer: Optimizer
    weight_decay: float
    dropout: float
    average_tail: float
    positions: Positions
    token_shift: bool
    activation: Activation
    qk_norm: bool
    final_norm: bool
    out_scale: float

    def train_config(
        self, operations: float, length: float, *, vocab_size: int, text: TextKind, evaluations: int
    ) -> TrainConfig:
        """Return the training settings, with as many steps as the operations allow.

        Args:
            operations: cost of all steps; see `microgpt.training.operations`.
            length: mean number of predicted tokens per document or chunk.
            vocab_size: number of tokens of the tokenizer.
        """
        facts: dict[str, Any] = self.settings_of(TrainConfig) | {"text": text}
        config = TrainConfig(
            batch_size=max(1, round(self.n_tokens / length)), evaluations=evaluations, **facts
        )
        return with_steps(config, self.model(vocab_size), operations, length)

    @property
    def species(self) -> str:
        """The model shape, such as "64-4-3-16-4-char"."""
        shape = (self.n_embd, self.n_head, self.n_layer, self.block_size, self.n_ff_exp)
        return "-".join(map(str, (*shape, self.vocab_size or "char")))

    def describe(self) -> str:
        """Format the most important genes on one line."""
        tokens = f"{self.vocab_size} subwords" if self.vocab_size else "characters"
        return (
            f"layers {self.n_layer}, width {self.n_embd}, context {self.block_size}, {tokens}, "
            f"{self.n_tokens} tokens per step, learning rate {self.lr:.2g} ({self.optimizer}), "
            f"dropout {self.dropout:g}, weight decay {self.weight_decay:g}"
        )

    @classmethod
    def of(cls, choice: Choice, length: float, vocab_size: int | None) -> "BudgetedGenome":
        """Return the genome of settings chosen by the rule.

        Args:
            length: mean number of predicted tokens per document or chunk.
            vocab_size: requested size of the BPE vocabulary; None for characters.
        """
        known = {**vars(choice.config), **vars(choice.model)}
        known |= {"vocab_size": vocab_size, "n_tokens": round(choice.config.batch_size * length)}
        return cls(**{name: known[name] for name in GENES})


GENES = tuple(field.name for field in fields(BudgetedGenome))
