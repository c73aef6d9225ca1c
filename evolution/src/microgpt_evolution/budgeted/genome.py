"""The genome of a budgeted search (all settings of a training run except its steps), and its space.

A `Contestant` is an organism with such a genome and its losses so far.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from microgpt import (
    CHARACTERS_PER_SUBWORD,
    MAX_CONTEXT,
    VOCABULARIES,
    Activation,
    Choice,
    Optimizer,
    Positions,
    TextKind,
    TrainConfig,
    with_steps,
)
from microgpt_evolution.genome import BaseGenome
from microgpt_evolution.space import Gene, Space

EVALUATIONS = 8  # number of evaluations of a complete training run; a rung ends at one of them
RUNGS = (6, EVALUATIONS)  # evaluations at which a training run may pause; half-way losses mislead
MAX_TOKENS_PER_STEP = 1_000_000
Origin = Literal["given", "mutant", "cross"]
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
    """The settings of a training run; the number of steps follows from the operations."""

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
        config = TrainConfig(
            batch_size=max(1, round(self.n_tokens / length)),
            evaluations=evaluations,
            text=text,
            **self.settings_of(TrainConfig),
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
        """Return the genome of the settings that the rule chose.

        Args:
            length: mean number of predicted tokens per document or chunk.
            vocab_size: requested size of the BPE vocabulary; None for characters.
        """
        known = {**vars(choice.config), **vars(choice.model)}
        known |= {"vocab_size": vocab_size, "n_tokens": round(choice.config.batch_size * length)}
        return cls(**{name: known[name] for name in GENES})


GENES = tuple(field.name for field in fields(BudgetedGenome))

# Values of each gene, in ascending order. The context and the size of the vocabulary depend
# on the documents.
VALUES: dict[str, tuple[Gene, ...]] = {
    "n_embd": (16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 160, 192, 224, 256),
    "n_layer": (1, 2, 3, 4, 5, 6, 8),
    "n_head": (1, 2, 4, 8),
    "n_ff_exp": (1, 2, 3, 4, 6, 8),
    "n_tokens": (125, 180, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 8000),
    "lr": (0.0005, 0.0007, 0.001, 0.0014, 0.002, 0.0028, 0.004, 0.0056, 0.008, 0.011, 0.016, 0.022),
    "optimizer": ("muon", "adamw"),
    "weight_decay": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
    "dropout": (0.0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
    "average_tail": (0.0, 0.1, 0.2, 0.3, 0.5),
    "positions": ("learned", "rotary"),
    "token_shift": (False, True),
    "activation": ("relu", "relu2"),
    "qk_norm": (False, True),
    "final_norm": (False, True),
    "out_scale": (0.1, 0.3, 1.0),
}
# Relative probability that a gene mutates; 1 for the others. The values that the rule gives these
# were better in most cases (docs/measurements/quality.md), so few mutations should try others.
RATES: dict[str, float] = {
    "optimizer": 0.1, "positions": 0.1, "token_shift": 0.1, "activation": 0.1, "qk_norm": 0.1,
    "final_norm": 0.1, "out_scale": 0.2,
}  # fmt: skip


def space_for(rule: BudgetedGenome, text: TextKind, n_characters: int) -> Space:
    """Return the default space for documents.

    Args:
        rule: genome that the rule of `train --minutes` chooses.
        n_characters: number of characters in the training set.
    """
    context = rule.block_size
    contexts = (32, 64, 128, 256) if text == "stream" else (context // 2, context, 2 * context)
    values = {**VALUES, "block_size": tuple(n for n in contexts if 8 <= n <= MAX_CONTEXT)}
    if rule.vocab_size is not None:  # otherwise, subwords do not suit the documents
        most = n_characters / CHARACTERS_PER_SUBWORD
        values["vocab_size"] = (None, *(size for size in VOCABULARIES if size <= most))
    return Space(values=values, rates=RATES)


@dataclass(frozen=True)
class Contestant:
    """An organism of a budgeted search, with its validation losses so far."""

    id: str  # such as "g3-5": the fifth organism of the third generation
    genome: BudgetedGenome
    origin: Origin
    parents: tuple[str, ...]
    seed: int  # of its training run
    losses: tuple[float, ...] = ()  # in nats per character, one per evaluation

    @property
    def loss(self) -> float:
        """The lowest loss so far; the weights with this loss are kept."""
        return min(self.losses, default=math.inf)

    @property
    def generation(self) -> int:
        """The number of its generation, counted from 1."""
        return int(self.id[1:].partition("-")[0])

    @property
    def next_rung(self) -> int:
        """The number of the evaluation that ends its next rung."""
        return next(rung for rung in RUNGS if rung > len(self.losses))

    @property
    def n_next(self) -> int:
        """The number of evaluations up to the next rung."""
        return self.next_rung - len(self.losses)

    @property
    def has_ended(self) -> bool:
        """Whether its training run is complete or has diverged."""
        return len(self.losses) == EVALUATIONS or math.inf in self.losses

    @property
    def is_complete(self) -> bool:
        """Whether its training run has ended with a finite loss."""
        return len(self.losses) == EVALUATIONS and self.loss < math.inf


def rank(organisms: Iterable[Contestant]) -> list[Contestant]:
    """Return the organisms that have a finite loss, best first."""
    finite = [organism for organism in organisms if organism.loss < math.inf]
    return sorted(finite, key=lambda organism: (organism.loss, organism.id))
