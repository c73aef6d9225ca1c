"""Scaling analysis: held-out loss as a function of steps, parameters and FLOPs.

Losses are held-out losses in nats per token, averaged over the seeds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import hypot
from statistics import fmean
from typing import Literal

from microgpt import Plottable, mark
from microgpt_evolution.confidence_interval import half_width
from microgpt_evolution.genome import Genome
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.sweep.config import SETTINGS
from microgpt_evolution.sweep.power_law import FittedLaw, fit_law

Axis = Literal["steps", "params"]
UNIT = 1000  # marginal returns are per 1,000 steps or 1,000 parameters
# For each axis, the settings that may differ between the cells of a series.
VARIED = {"steps": ("steps",), "params": ("n_embd", "n_head", "n_layer", "n_ff_exp")}


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its confidence interval."""

    value: float
    half_width: float | None  # half-width of the 95 % confidence interval; None for one seed

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Mean":
        """Return the mean of numbers, one per seed, and its confidence interval."""
        return cls(fmean(numbers), half_width(numbers) if len(numbers) > 1 else None)


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
    def of(cls, results: Mapping[int, TrialRecord]) -> "Cell":
        """Build the cell of one configuration from the results of its finished runs."""
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


@dataclass(frozen=True)
class Return:
    """The improvement of a cell over the previous cell."""

    drop: Mean  # decrease in loss
    per_unit: Mean  # decrease in loss per 1,000 steps or parameters; 0 if x does not increase


@dataclass(frozen=True)
class Series:
    """Two or more cells that differ only in steps or only in size, smallest first."""

    axis: Axis
    cells: Sequence[Cell]

    @cached_property
    def returns(self) -> list[Return | None]:
        """The improvement of each cell over the previous cell; None for the first cell."""
        return [None, *(_return(a, b, self.axis) for a, b in pairwise(self.cells))]

    @cached_property
    def law(self) -> FittedLaw | None:
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
    contamination: float | None = 0.0  # the share of the validation set; see `RunSettings`

    @property
    def mark(self) -> str:
        """The mark of the held-out losses."""
        return mark(self.contamination)

    def __repr__(self) -> str:
        return f"<Scaling: {len(self.cells)} configurations, {len(self.series)} series>"

    @classmethod
    def of(cls, results: Iterable[TrialRecord], share: float | None = 0.0) -> "Scaling":
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
        return gain(self.front[i - 1], cell) if i else None

    def place(self, cell: Cell) -> int:
        """Return the rank of a configuration by mean loss, counted from 1."""
        return 1 + sum(other.val_loss.value < cell.val_loss.value for other in self.cells)

    def behind(self, cell: Cell) -> Mean | None:
        """Return how much the loss of a cell exceeds the lowest loss, or None for the lowest."""
        best = self.front[-1]
        return None if cell is best else gain(cell, best)

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


def time_front(cells: Iterable[Cell]) -> list[Cell]:
    """Return the Pareto front of loss and CPU time.

    If several configurations take the same time within its spread, or have the same number of
    operations, the front contains only the best of them.
    """
    groups: list[list[Cell]] = []
    for cell in front(cells, lambda cell: cell.cpu_seconds.value):
        if groups and _takes_as_long(groups[-1][0], cell):
            groups[-1].append(cell)
        else:
            groups.append([cell])
    return [group[-1] for group in groups]


def gain(before: Cell, after: Cell) -> Mean:
    """Return the decrease in loss, paired by seed if both cells have two seeds in common."""
    common = [seed for seed in before.losses if seed in after.losses]
    if len(common) > 1:
        return Mean.of([before.losses[seed] - after.losses[seed] for seed in common])
    return Mean(before.val_loss.value - after.val_loss.value, None)


def _takes_as_long(a: Cell, b: Cell) -> bool:
    """Return whether two CPU times agree; without a spread, compare only the operations."""
    first, second = a.cpu_seconds, b.cpu_seconds
    if a.flops == b.flops or first.half_width is None or second.half_width is None:
        return a.flops == b.flops
    return abs(second.value - first.value) <= hypot(first.half_width, second.half_width)


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


def _return(before: Cell, after: Cell, axis: Axis) -> Return:
    """Return the improvement of a cell over the previous cell, as defined in evolve-rust."""
    drop, n_more = gain(before, after), after.x(axis) - before.x(axis)
    if n_more <= 0:
        return Return(drop, Mean(0.0, None))
    scale = UNIT / n_more
    half = None if drop.half_width is None else drop.half_width * scale
    return Return(drop, Mean(drop.value * scale, half))
