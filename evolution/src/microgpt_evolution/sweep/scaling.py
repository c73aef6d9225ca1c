"""What sweeps say: how the loss falls with steps, weights, operations and seconds.

Losses are held-out ones, in nats a token, and means over the seeds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import Literal

from microgpt_evolution.confidence_interval import half_width
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.power_law import FittedLaw, fit_law
from microgpt_evolution.sweep.result import SweepResult

Axis = Literal["steps", "params"]
UNIT = 1000  # steps or weights, that a return is told for


@dataclass(frozen=True)
class Mean:
    """A mean over seeds.

    Attributes:
        value: the mean.
        half_width: half its 95 % confidence interval; None for a single seed.
    """

    value: float
    half_width: float | None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Mean":
        """Return the mean of some numbers."""
        return cls(fmean(numbers), half_width(numbers) if len(numbers) > 1 else None)


@dataclass(frozen=True)
class Cell:
    """What a point came to, with all its seeds.

    Attributes:
        point: the settings.
        results: a training each, that has come to its end; by seed.
    """

    point: SweepConfig
    results: Mapping[int, SweepResult]

    @property
    def n_params(self) -> int:
        """The weights of the model."""
        return self._any.n_params

    @property
    def flops(self) -> int:
        """The operations of a training."""
        return self._any.flops

    @property
    def samples(self) -> Sequence[str]:
        """What the model of the first seed has made up."""
        return self._any.samples

    @cached_property
    def losses(self) -> dict[int, float]:
        """The held-out loss with each seed."""
        losses = {seed: result.val_loss for seed, result in self.results.items()}
        return {seed: loss for seed, loss in losses.items() if loss is not None}

    @cached_property
    def val_loss(self) -> Mean:
        """The held-out loss."""
        return Mean.of(list(self.losses.values()))

    @cached_property
    def last_loss(self) -> Mean:
        """The loss of the last step."""
        losses = [result.last_loss for result in self.results.values()]
        return Mean.of([loss for loss in losses if loss is not None])

    @cached_property
    def cpu_seconds(self) -> float:
        """What a training takes of a processor."""
        return fmean(result.cpu_seconds for result in self.results.values())

    def x(self, axis: Axis) -> int:
        """Return the steps or the weights."""
        return self.point.steps if axis == "steps" else self.n_params

    @property
    def _any(self) -> SweepResult:
        return next(iter(self.results.values()))


@dataclass(frozen=True)
class Return:
    """What going from a cell to the next has brought.

    Attributes:
        drop: of the loss.
        per_unit: the same for 1,000 steps or weights; 0 where there are no more of them.
    """

    drop: Mean
    per_unit: Mean


@dataclass(frozen=True)
class Series:
    """Cells that differ in their steps alone, or in their size alone, the smallest first.

    Attributes:
        axis: in which.
        cells: two or more.
    """

    axis: Axis
    cells: Sequence[Cell]

    @cached_property
    def returns(self) -> list[Return | None]:
        """What each cell has brought over the one before; the first has none before it."""
        after = [_return(a, b, b.x(self.axis) - a.x(self.axis)) for a, b in pairwise(self.cells)]
        return [None, *after]

    @cached_property
    def law(self) -> FittedLaw | None:
        """The power law of the losses, if there is one."""
        seeds = dict.fromkeys(seed for cell in self.cells for seed in cell.losses)
        curves = {
            seed: [(c.x(self.axis), c.losses[seed]) for c in self.cells if seed in c.losses]
            for seed in seeds
        }
        return fit_law(curves)


@dataclass(frozen=True)
class Scaling:
    """All that sweeps say together.

    Attributes:
        cells: each point, the cheapest first.
        series: along steps, then along parameters.
        front: the best cell for each budget: no other has a lower loss for as few operations.
    """

    cells: Sequence[Cell]
    series: Sequence[Series]
    front: Sequence[Cell]

    @classmethod
    def of(cls, results: Iterable[SweepResult]) -> "Scaling":
        """Return what trainings say that came to their end; twice the same counts once."""
        cells = sorted(_cells(results), key=lambda cell: (cell.flops, cell.val_loss.value))
        axes: tuple[Axis, ...] = ("steps", "params")
        series = [s for axis in axes for s in _series(cells, axis)]
        return cls(cells, series, front(cells, lambda cell: cell.flops))

    def gain(self, cell: Cell) -> Mean | None:
        """Return what a cell of the front is better than the one before; None for others."""
        i = self.front.index(cell) if cell in self.front else 0
        return _gain(self.front[i - 1], cell) if i else None


def front(cells: Iterable[Cell], cost: Callable[[Cell], float]) -> list[Cell]:
    """Return the cells that are better than all that cost no more, the cheapest first."""
    best: list[Cell] = []
    for cell in sorted(cells, key=lambda cell: (cost(cell), cell.val_loss.value)):
        if not best or cell.val_loss.value < best[-1].val_loss.value:
            best.append(cell)
    return best


def _cells(results: Iterable[SweepResult]) -> list[Cell]:
    by_point: dict[SweepConfig, dict[int, SweepResult]] = {}
    for result in results:
        if result.is_ok:
            by_point.setdefault(result.point, {}).setdefault(result.seed, result)
    return [Cell(point, by_seed) for point, by_seed in by_point.items()]


def _series(cells: Sequence[Cell], axis: Axis) -> list[Series]:
    """Return all series along an axis."""
    groups: dict[SweepConfig, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_rest(cell.point, axis), []).append(cell)
    return [
        Series(axis, sorted(group, key=lambda cell: cell.x(axis)))
        for group in groups.values()
        if len({cell.x(axis) for cell in group}) > 1
    ]


def _gain(before: Cell, after: Cell) -> Mean:
    """Return how much lower the loss is; where both have the same seeds, seed by seed."""
    if before.losses.keys() == after.losses.keys():
        return Mean.of([loss - after.losses[seed] for seed, loss in before.losses.items()])
    return Mean(before.val_loss.value - after.val_loss.value, None)


def _return(before: Cell, after: Cell, n_more: int) -> Return:
    """Return what came of n_more steps or weights, as the source reckons it, but for the noise."""
    drop = _gain(before, after)
    if n_more <= 0:
        return Return(drop, Mean(0.0, None))
    scale = UNIT / n_more
    half = None if drop.half_width is None else drop.half_width * scale
    return Return(drop, Mean(drop.value * scale, half))


def _rest(point: SweepConfig, axis: Axis) -> SweepConfig:
    """Return a point that all of a series share."""
    if axis == "steps":
        return replace(point, steps=1)
    return replace(point, n_embd=1, n_head=1, n_layer=1, n_ff_exp=1)
