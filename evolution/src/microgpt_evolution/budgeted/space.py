"""The space of a budgeted search: the values of each gene, random genomes, mutation, crossover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from microgpt_evolution.budgeted.genome import GENES, BudgetedGenome
from microgpt_evolution.errors import GenomeError

MORE_GENES = 0.35  # probability to mutate another gene, after each gene
JUMP = 0.25  # probability that a gene moves by two places instead of one
MAX_TRIES = 100  # number of draws before a space without valid genomes is reported
# Values of each gene, in ascending order. The context and the size of the vocabulary depend
# on the documents.
VALUES: Mapping[str, tuple[Any, ...]] = {
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
# were better on every text (docs/quality.md), so few mutations should try others.
RATES: Mapping[str, float] = {
    "optimizer": 0.1, "positions": 0.1, "token_shift": 0.1, "activation": 0.1, "qk_norm": 0.1,
    "final_norm": 0.1, "out_scale": 0.2,
}  # fmt: skip


@dataclass(frozen=True)
class Space:
    """The values that each gene may have; genes without values keep those of the parent."""

    values: Mapping[str, Sequence[Any]]
    rates: Mapping[str, float] = field(default_factory=dict)  # 1 for genes that are not here

    def random(self, genome: BudgetedGenome, rng: Random) -> BudgetedGenome:
        """Return a genome with random values; genes without values are those of `genome`."""
        for _ in range(MAX_TRIES):
            genes = {gene: rng.choice(values) for gene, values in self.values.items()}
            if drawn := _valid(genome, genes):
                return drawn
        raise GenomeError("the space has no valid genomes; check its values")

    def mutate(self, genome: BudgetedGenome, rng: Random) -> BudgetedGenome:
        """Return a copy in which one or more genes have a neighbouring value."""
        names = [gene for gene, values in self.values.items() if len(values) > 1]
        rates = [self.rates.get(gene, 1.0) for gene in names]
        for _ in range(MAX_TRIES):
            genes: dict[str, Any] = {}
            while not genes or rng.random() < MORE_GENES:
                (gene,) = rng.choices(names, rates)
                genes[gene] = self._neighbour(gene, getattr(genome, gene), rng)
            mutant = _valid(genome, genes)
            if mutant and mutant != genome:
                return mutant
        raise GenomeError("the space has no other valid genomes; check its values")

    def crossover(self, a: BudgetedGenome, b: BudgetedGenome, rng: Random) -> BudgetedGenome:
        """Return a genome that takes each gene from either parent with equal probability."""
        genes = {gene: getattr(rng.choice((a, b)), gene) for gene in GENES}
        return _valid(a, genes) or a

    def _neighbour(self, gene: str, value: Any, rng: Random) -> Any:
        """Return a value one or two places from the value, or from the closest number."""
        values = self.values[gene]
        if value not in values:
            value = min(values, key=lambda each: abs((each or 0) - (value or 0)))
        step = rng.choice((-1, 1)) * (2 if rng.random() < JUMP else 1)
        return values[min(max(values.index(value) + step, 0), len(values) - 1)]


def _valid(genome: BudgetedGenome, genes: Mapping[str, Any]) -> BudgetedGenome | None:
    """Return the genome with some genes replaced, or None if they contradict one another."""
    try:
        return replace(genome, **genes)
    except GenomeError:
        return None
