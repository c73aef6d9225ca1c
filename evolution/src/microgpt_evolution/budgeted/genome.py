"""The genes of a budgeted search, all settings of a training run except its steps; their space.

A `Contestant` is an organism with its losses so far.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from microgpt import (
    CHARACTERS_PER_SUBWORD,
    MAX_CONTEXT,
    VOCABULARIES,
    Choice,
    TextKind,
)
from microgpt_evolution.genome import BUDGETED_GENES, VALUES, Genome
from microgpt_evolution.organism import Trial
from microgpt_evolution.space import Space

EVALUATIONS = 8  # number of evaluations of a complete training run; a rung ends at one of them
RUNGS = (6, EVALUATIONS)  # evaluations at which a training run may pause; half-way losses mislead


def genome_of(choice: Choice, length: float, vocab_size: int | None) -> Genome:
    """Return the genome of the settings that the rule chose; its steps follow from the operations.

    Args:
        length: mean number of predicted tokens per document or chunk.
        vocab_size: requested size of the BPE vocabulary; None for characters.
    """
    known = {**vars(choice.config), **vars(choice.model), "vocab_size": vocab_size or 0}
    known["n_tokens"] = round(choice.config.batch_size * length)
    return Genome(**{name: known[name] for name in BUDGETED_GENES})


# Relative probability that a gene mutates; 1 for the others. The values that the rule gives these
# were better in most cases (docs/measurements/quality.md), so few mutations should try others.
RATES = {"optimizer": 0.1, "architecture": 0.1}


def space_for(rule: Genome, text: TextKind, n_characters: int) -> Space:
    """Return the default space for documents.

    Args:
        rule: genome that the rule of `train --minutes` chooses.
        n_characters: number of characters in the training set.
    """
    context = rule.block_size
    contexts = (32, 64, 128, 256) if text == "stream" else (context // 2, context, 2 * context)
    values = {**VALUES, "block_size": tuple(n for n in contexts if 8 <= n <= MAX_CONTEXT)}
    if rule.vocab_size:  # otherwise, subwords do not suit the documents
        most = n_characters / CHARACTERS_PER_SUBWORD
        values["vocab_size"] = (0, *(size for size in VOCABULARIES if size <= most))
    return Space(values=values, rates=RATES)


@dataclass(frozen=True)
class Contestant(Trial):
    """An organism of a budgeted search, with its validation losses so far."""

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
