"""Genomes: the settings of a model and of its training, and the space of a search with a budget."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any, Self

from microgpt import ModelConfig, TrainConfig, check_names, check_setting
from microgpt_evolution.evolution_errors import GenomeError, raised_as

Gene = bool | int | float | str
LIMITS = {  # the genes of a search without a budget, with evolve-rust's limits
    "n_embd": (1, 128),
    "block_size": (1, 256),
    "n_layer": (1, 12),
    "n_head": (1, 16),
    "n_ff_exp": (1, 8),
    "steps": (50, 10_000),
    "lr": (1e-6, 1.0),
}
GENES = tuple(LIMITS)
# Values of the genes of a search with a budget, in ascending order. The values of block_size
# and vocab_size depend on the documents.
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
    "architecture": ("karpathy", "portable", "modern"),
}
BUDGETED_GENES = (*[*VALUES][:4], "block_size", "vocab_size", *[*VALUES][4:])
# Relative probabilities of mutation; all other genes have 1. These two genes rarely mutate, because
# the values that `train` chooses were better in most cases (docs/measurements/quality.md).
RATES = {"optimizer": 0.1, "architecture": 0.1}
MORE_GENES = 0.35  # probability of mutating one more gene, drawn after each mutation
JUMP = 0.25  # probability that a gene moves by two values instead of one
MAX_TRIES = 100  # maximum number of draws to find a valid mutant


@dataclass(frozen=True)
class Genome(TrainConfig, ModelConfig):
    """All settings of a model and of its training.

    The defaults are Karpathy's, except for the learning rate, which is evolve-rust's. It does not
    depend on the width, so that a sweep of widths varies only one setting.
    """

    lr: float = 0.005
    n_tokens: int | None = None  # predicted tokens per step, which determine the batch size

    def __post_init__(self) -> None:
        with raised_as(GenomeError):
            self.model()
            self.train_config(self.seed)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Return the genome with the given settings, and with defaults for all other settings."""
        if not isinstance(settings, Mapping):
            raise GenomeError(f"a genome must be a JSON object, got {settings!r:.80}")
        check_genes(settings)
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults."""
        found = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in found.items() if value != default}

    def model(self, vocab_size: int = 0) -> ModelConfig:
        """Return the shape of the model; if `vocab_size` is 0, `train` sets it."""
        shape = {field.name: getattr(self, field.name) for field in fields(ModelConfig)}
        return ModelConfig(**shape | {"vocab_size": vocab_size})

    def train_config(self, seed: int) -> TrainConfig:
        """Return the settings of a training run with this genome and a seed."""
        settings = {field.name: getattr(self, field.name) for field in fields(TrainConfig)}
        return TrainConfig(**settings | {"seed": seed})

    @property
    def species(self) -> str:
        """The model shape, such as "16-4-1-16-4", and the size of a subword vocabulary, if any."""
        shape = (self.n_embd, self.n_head, self.n_layer, self.block_size, self.n_ff_exp)
        return "-".join(map(str, (*shape, self.vocab_size) if self.vocab_size else shape))

    def describe(self) -> str:
        """Format the main settings on one line; if n_tokens is None, in evolve-rust's format."""
        if self.n_tokens is None:
            return (
                f"Emb:{self.n_embd:<3} Head:{self.n_head} Lay:{self.n_layer} Ctx:"
                f"{self.block_size:<2} FF:{self.n_ff_exp} LR:{self.lr:.4f} Steps:{self.steps:<4}"
            )
        tokens = f"{self.vocab_size} subwords" if self.vocab_size else "characters"
        return (
            f"layers {self.n_layer}, width {self.n_embd}, context {self.block_size}, {tokens}, "
            f"{self.n_tokens} tokens per step, learning rate {self.lr:.2g} ({self.optimizer}), "
            f"dropout {self.dropout:g}, weight decay {self.weight_decay:g}"
        )


PRIMORDIAL = Genome(steps=200)


def values_of(genome: Genome, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of the named settings of a genome, by name."""
    return {name: getattr(genome, name) for name in names}


def check_genes(genes: Mapping[str, Any]) -> None:
    """Raise GenomeError if a setting does not exist, or if its value is invalid by itself."""
    with raised_as(GenomeError):
        check_names(genes, Genome.__dataclass_fields__)
        for name, gene in genes.items():
            check_setting(name, gene)


def fit_together(settings: Mapping[str, str]) -> bool:
    """Return whether a genome can have settings, given as JSON; unknown names are ignored."""
    known = settings.keys() & Genome.__dataclass_fields__
    return _valid(Genome(), {name: json.loads(settings[name]) for name in known}) is not None


@dataclass(frozen=True)
class Space:
    """The values that each gene can have, in ascending order; genes without values do not vary."""

    values: dict[str, tuple[Gene, ...]]

    def mutate(self, genome: Genome, rng: Random) -> Genome:
        """Return a copy in which one or more genes have moved to a nearby value in `values`."""
        rates = {gene: RATES.get(gene, 1.0) for gene in self.values if len(self.values[gene]) > 1}
        for _ in range(MAX_TRIES if rates else 0):
            genes: dict[str, Any] = {}
            while not genes or rng.random() < MORE_GENES:
                (gene,) = rng.choices([*rates], [*rates.values()])
                genes[gene] = self._neighbour(gene, getattr(genome, gene), rng)
            mutant = _valid(genome, genes)
            if mutant and mutant != genome:
                return mutant
        raise GenomeError("the space has no other valid genomes; check its values")

    def crossover(self, a: Genome, b: Genome, rng: Random) -> Genome:
        """Draw each of BUDGETED_GENES from a or b; return `a` if the new genome is invalid."""
        return _valid(a, {g: getattr(rng.choice((a, b)), g) for g in BUDGETED_GENES}) or a

    def coordinates(self, genome: Genome) -> list[float]:
        """Return a coordinate per gene; the values of a gene are spaced evenly in [0, 1]."""
        return [
            self._place(gene, getattr(genome, gene)) / max(1, len(values) - 1)
            for gene, values in self.values.items()
        ]

    def _neighbour(self, gene: str, value: Gene, rng: Random) -> Gene:
        """Return the gene's value that is one or two steps above or below the given value."""
        step = rng.choice((-1, 1)) * (2 if rng.random() < JUMP else 1)
        values, place = self.values[gene], self._place(gene, value) + step
        return values[min(max(place, 0), len(values) - 1)]

    def _place(self, gene: str, value: Any) -> int:
        """Return the index of a gene's value or, if the space lacks it, of the closest value."""
        values: tuple[Any, ...] = self.values[gene]
        if value in values:
            return values.index(value)
        return min(range(len(values)), key=lambda i: abs(values[i] - value))


def _valid(genome: Genome, genes: Mapping[str, Any]) -> Genome | None:
    """Return the genome with the given genes replaced, or None if the result is invalid."""
    try:
        return replace(genome, **genes)
    except GenomeError:
        return None
