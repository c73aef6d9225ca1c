"""Scaling of the held-out loss with steps, parameters and operations.

Losses are in nats per token, averaged over the seeds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

from microgpt import Plottable
from microgpt_evolution.comparison import Mean
from microgpt_evolution.genome import values_of
from microgpt_evolution.report.ranking import Candidate, Ranking
from microgpt_evolution.strategies.grid import SETTINGS

UNIT = 1000  # marginal returns are per 1,000 steps or 1,000 parameters
NOUNS = {"steps": "steps", "params": "parameters"}  # of the axes
# For each axis, the settings that may differ between the candidates of a series.
VARIED = {"steps": ("steps",), "params": ("n_embd", "n_head", "n_layer", "n_ff_exp")}


@dataclass(frozen=True)
class Series:
    """Two or more candidates that differ only in steps or only in size, smallest first."""

    axis: str
    candidates: Sequence[Candidate]

    @cached_property
    def drops(self) -> Mapping[Candidate, Mean]:
        """By how much each loss is below that of the candidate before it."""
        return drops(self.candidates)

    @cached_property
    def returns(self) -> Mapping[Candidate, Mean]:
        """The drops per 1,000 steps or parameters, as in evolve-rust; 0 if these do not grow."""
        xs = [size_on(self.axis, each) for each in self.candidates]
        factors = (UNIT / (b - a) if b > a else 0.0 for a, b in pairwise(xs))
        pairs = zip(self.drops.items(), factors, strict=True)
        return {each: drop.times(factor) for (each, drop), factor in pairs}


@dataclass(frozen=True, repr=False)
class Scaling(Plottable):
    """The scaling analysis of the trials of one or more sweeps."""

    ranking: Ranking

    def __repr__(self) -> str:
        return f"<Scaling: {len(self.candidates)} configurations, {len(self.series)} series>"

    @cached_property
    def candidates(self) -> Sequence[Candidate]:
        """The candidates, cheapest first."""
        found = self.ranking.candidates
        return sorted(found, key=lambda each: (each.record.flops, each.mean.value))

    @cached_property
    def series(self) -> Sequence[Series]:
        """The series over steps, and then those over parameters."""
        return [*self._along("steps"), *self._along("params")]

    def _along(self, axis: str) -> Iterator[Series]:
        names = [name for name in SETTINGS if name not in VARIED[axis]]
        groups: dict[tuple[object, ...], list[Candidate]] = {}
        for each in sorted(self.candidates, key=partial(size_on, axis)):
            groups.setdefault(tuple(values_of(each.genome, names).values()), []).append(each)
        for group in groups.values():
            if size_on(axis, group[0]) < size_on(axis, group[-1]):
                yield Series(axis, group)

    @cached_property
    def front(self) -> Sequence[Candidate]:
        """The candidates with a lower loss than all cheaper ones, cheapest first."""
        front: list[Candidate] = []
        for each in self.candidates:
            if not front or each.mean.value < front[-1].mean.value:
                front.append(each)
        return front

    @cached_property
    def behind(self) -> Mapping[Candidate, Mean]:
        """By how much each loss exceeds the lowest, without that."""
        best = self.front[-1]
        return {each: each.above(best) for each in self.candidates if each is not best}

    @property
    def has_one_cost(self) -> bool:
        """Whether there are several candidates, all with the same number of operations."""
        return len(self.candidates) > 1 == len({each.record.flops for each in self.candidates})


def drops(candidates: Sequence[Candidate]) -> dict[Candidate, Mean]:
    """Return by how much each loss is below that of the candidate before it."""
    return {after: before.above(after) for before, after in pairwise(candidates)}


def size_on(axis: str, candidate: Candidate) -> int:
    """Return the number of steps or parameters, depending on the axis."""
    return candidate.genome.steps if axis == "steps" else candidate.record.n_params
