"""Scaling analysis: held-out loss as a function of steps, parameters and FLOPs.

Losses are held-out losses in nats per token, averaged over the seeds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, Self

from microgpt import Plottable, mark
from microgpt_evolution.comparison import Mean, paired_difference
from microgpt_evolution.genome import Genome
from microgpt_evolution.scaling.power_law import PowerLaw, fit_law
from microgpt_evolution.strategies.grid import SETTINGS
from microgpt_evolution.trial import TrialRecord

Axis = Literal["steps", "params"]
UNIT = 1000  # marginal returns are per 1,000 steps or 1,000 parameters
# For each axis, the settings that may differ between the cells of a series.
VARIED = {"steps": ("steps",), "params": ("n_embd", "n_head", "n_layer", "n_ff_exp")}


@dataclass(frozen=True)
class Cell:
    """The results of all finished training runs of one configuration."""

    config: Genome
    n_params: int
    flops: float  # FLOPs per training run
    samples: Sequence[str]  # samples of the model trained with the first seed
    losses: Mapping[int, float]  # held-out losses by seed
    val_loss: Mean
    last_loss: Mean  # training loss at the last step, averaged over seeds
    cpu_seconds: Mean  # CPU time per training run

    @classmethod
    def of(cls, results: Mapping[int, TrialRecord]) -> Self:
        """Build the cell of one configuration from the results of its finished runs, by seed."""
        first = next(iter(results.values()))
        losses = {seed: r.val_loss for seed, r in results.items() if r.val_loss is not None}
        return cls(
            config=first.genome,
            n_params=first.n_params,
            flops=first.flops,
            samples=first.samples,
            losses=losses,
            val_loss=Mean.of(list(losses.values())),
            last_loss=Mean.of([r.last_loss for r in results.values() if r.last_loss is not None]),
            cpu_seconds=Mean.of([r.cpu_seconds for r in results.values()]),
        )

    def x(self, axis: Axis) -> int:
        """Return the number of steps or parameters, depending on the axis."""
        return self.config.steps if axis == "steps" else self.n_params

    def above(self, other: Self) -> Mean:
        """Return by how much the loss exceeds that of another configuration, paired by seed."""
        return paired_difference(self.losses, other.losses)


@dataclass(frozen=True)
class Series:
    """Two or more cells that differ only in steps or only in size, smallest first."""

    axis: Axis
    cells: Sequence[Cell]

    @cached_property
    def drops(self) -> list[Mean | None]:
        """By how much each loss is below that of the previous cell; None for the first cell."""
        return [None, *(before.above(after) for before, after in pairwise(self.cells))]

    @cached_property
    def returns(self) -> list[Mean | None]:
        """The drops per 1,000 steps or parameters, as in evolve-rust; 0 if these do not grow."""
        more = [b.x(self.axis) - a.x(self.axis) for a, b in pairwise(self.cells)]
        return [
            drop and drop.times(UNIT / n if n else 0.0)
            for drop, n in zip(self.drops, [0, *more], strict=True)
        ]

    @cached_property
    def law(self) -> PowerLaw | None:
        """The power law fitted to the losses, or None if the fit fails."""
        curves: dict[int, list[tuple[float, float]]] = {}
        for cell in self.cells:
            for seed, loss in cell.losses.items():
                curves.setdefault(seed, []).append((cell.x(self.axis), loss))
        return fit_law(curves)


@dataclass(frozen=True, repr=False)
class Scaling(Plottable):
    """The scaling analysis of one or more sweeps."""

    cells: Sequence[Cell]  # one per configuration, cheapest first
    series: Sequence[Series]  # series over steps, then series over parameters
    front: Sequence[Cell]  # Pareto front of held-out loss and FLOPs
    contamination: float | None = 0.0  # the share of the validation set; see `StudySettings`

    @property
    def mark(self) -> str:
        """The mark of the held-out losses."""
        return mark(self.contamination)

    def __repr__(self) -> str:
        return f"<Scaling: {len(self.cells)} configurations, {len(self.series)} series>"

    @classmethod
    def of(cls, results: Iterable[TrialRecord], share: float | None = 0.0) -> Self:
        """Return the analysis of finished runs without repeated ones; `share` is contamination."""
        by_config: dict[Genome, dict[int, TrialRecord]] = {}
        for result in results:
            if result.is_ok and result.val_loss is not None:
                by_config.setdefault(result.genome, {}).setdefault(result.seed, result)
        cells = sorted(map(Cell.of, by_config.values()), key=lambda c: (c.flops, c.val_loss.value))
        axes: tuple[Axis, ...] = ("steps", "params")
        series = [s for axis in axes for s in _series(cells, axis)]
        return cls(cells, series, front(cells, lambda cell: cell.flops), share)

    def gain(self, cell: Cell) -> Mean | None:
        """Return the improvement over the previous cell on the front, or None if there is none."""
        i = self.front.index(cell) if cell in self.front else 0
        return self.front[i - 1].above(cell) if i else None

    def behind(self, cell: Cell) -> Mean | None:
        """Return how much the loss of a cell exceeds the lowest loss, or None for the lowest."""
        best = self.front[-1]
        return None if cell is best else cell.above(best)

    @property
    def has_one_cost(self) -> bool:
        """Whether there are several configurations, all with the same number of operations."""
        return len(self.cells) > 1 == len({cell.flops for cell in self.cells})


def front(cells: Iterable[Cell], cost: Callable[[Cell], float]) -> list[Cell]:
    """Return the Pareto front of loss and cost, cheapest first."""
    best: list[Cell] = []
    for cell in sorted(cells, key=lambda cell: (cost(cell), cell.val_loss.value)):
        if not best or cell.val_loss.value < best[-1].val_loss.value:
            best.append(cell)
    return best


def _series(cells: Sequence[Cell], axis: Axis) -> list[Series]:
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        others = (getattr(cell.config, name) for name in SETTINGS if name not in VARIED[axis])
        groups.setdefault(tuple(others), []).append(cell)
    return [
        Series(axis, sorted(group, key=lambda cell: cell.x(axis)))
        for group in groups.values()
        if len({cell.x(axis) for cell in group}) > 1
    ]
