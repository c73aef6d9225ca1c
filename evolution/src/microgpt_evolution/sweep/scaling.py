"""How the loss falls with steps, parameters and operations, over the trainings of some sweeps.

Losses are held-out losses in nats per token, as means over the seeds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import Any, Literal

from microgpt_evolution.confidence_interval import half_width
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.power_law import FittedLaw, fit_law
from microgpt_evolution.sweep.records import SweepResult

Axis = Literal["steps", "params"]
UNIT = 1000  # steps or parameters that a return is given for
VARIED = {"steps": ("steps",), "params": ("n_embd", "n_head", "n_layer", "n_ff_exp")}  # by axis


@dataclass(frozen=True)
class Mean:
    """A mean over seeds."""

    value: float
    half_width: float | None  # of the 95 % confidence interval; None for a single seed

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Mean":
        """Return the mean of some numbers."""
        return cls(fmean(numbers), half_width(numbers) if len(numbers) > 1 else None)


@dataclass(frozen=True)
class Cell:
    """One configuration, over all its seeds that finished."""

    config: SweepConfig
    n_params: int
    flops: int  # of one training
    samples: Sequence[str]  # of the first seed's model
    losses: Mapping[int, float]  # held-out, by seed
    val_loss: Mean
    last_loss: Mean  # of the last step
    cpu_seconds: float  # mean of a training

    @classmethod
    def of(cls, results: Mapping[int, SweepResult]) -> "Cell":
        """Return the cell of the finished trainings of one configuration, by seed."""
        first = next(iter(results.values()))
        losses = {seed: r.val_loss for seed, r in results.items() if r.val_loss is not None}
        return cls(
            config=first.config,
            n_params=first.n_params,
            flops=first.flops,
            samples=first.samples,
            losses=losses,
            val_loss=Mean.of(list(losses.values())),
            last_loss=Mean.of([r.last_loss for r in results.values() if r.last_loss is not None]),
            cpu_seconds=fmean(r.cpu_seconds for r in results.values()),
        )

    def x(self, axis: Axis) -> int:
        """Return the steps or the parameters."""
        return self.config.steps if axis == "steps" else self.n_params


@dataclass(frozen=True)
class Return:
    """The gain of a cell on the one before it."""

    drop: Mean  # of the loss
    per_unit: Mean  # per 1,000 steps or parameters; 0 if there are no more of them


@dataclass(frozen=True)
class Series:
    """Two or more cells that differ only in steps, or only in size, the smallest first."""

    axis: Axis
    cells: Sequence[Cell]

    @cached_property
    def returns(self) -> list[Return | None]:
        """The gain of each cell on the one before; None for the first."""
        return [None, *(_return(a, b, self.axis) for a, b in pairwise(self.cells))]

    @cached_property
    def law(self) -> FittedLaw | None:
        """The power law of the losses, if there is one."""
        curves: dict[int, list[tuple[float, float]]] = {}
        for cell in self.cells:
            for seed, loss in cell.losses.items():
                curves.setdefault(seed, []).append((cell.x(self.axis), loss))
        return fit_law(curves)


@dataclass(frozen=True)
class Scaling:
    """The analysis of some sweeps."""

    cells: Sequence[Cell]  # one per configuration, the cheapest first
    series: Sequence[Series]  # along steps, then along parameters
    front: Sequence[Cell]  # the Pareto front: no other cell has a lower loss for as few operations

    @classmethod
    def of(cls, results: Iterable[SweepResult]) -> "Scaling":
        """Return the analysis of all finished trainings; of two equal ones the first counts."""
        by_config: dict[SweepConfig, dict[int, SweepResult]] = {}
        for result in results:
            if result.is_ok:
                by_config.setdefault(result.config, {}).setdefault(result.seed, result)
        cells = sorted(map(Cell.of, by_config.values()), key=lambda c: (c.flops, c.val_loss.value))
        axes: tuple[Axis, ...] = ("steps", "params")
        series = [s for axis in axes for s in _series(cells, axis)]
        return cls(cells, series, front(cells, lambda cell: cell.flops))

    def gain(self, cell: Cell) -> Mean | None:
        """Return how much better a cell of the front is than the one before; None for others."""
        i = self.front.index(cell) if cell in self.front else 0
        return _gain(self.front[i - 1], cell) if i else None


def front(cells: Iterable[Cell], cost: Callable[[Cell], float]) -> list[Cell]:
    """Return the cells that are better than all that cost no more, the cheapest first."""
    best: list[Cell] = []
    for cell in sorted(cells, key=lambda cell: (cost(cell), cell.val_loss.value)):
        if not best or cell.val_loss.value < best[-1].val_loss.value:
            best.append(cell)
    return best


def _series(cells: Sequence[Cell], axis: Axis) -> list[Series]:
    groups: dict[SweepConfig, list[Cell]] = {}
    for cell in cells:
        equal: dict[str, Any] = dict.fromkeys(VARIED[axis], 1)
        groups.setdefault(replace(cell.config, **equal), []).append(cell)
    return [
        Series(axis, sorted(group, key=lambda cell: cell.x(axis)))
        for group in groups.values()
        if len({cell.x(axis) for cell in group}) > 1
    ]


def _gain(before: Cell, after: Cell) -> Mean:
    """Return how much lower the loss is; if both have the same seeds, seed by seed."""
    if before.losses.keys() == after.losses.keys():
        return Mean.of([loss - after.losses[seed] for seed, loss in before.losses.items()])
    return Mean(before.val_loss.value - after.val_loss.value, None)


def _return(before: Cell, after: Cell, axis: Axis) -> Return:
    """Return the gain of a cell on the one before it, by evolve-rust's rule."""
    drop, n_more = _gain(before, after), after.x(axis) - before.x(axis)
    if n_more <= 0:
        return Return(drop, Mean(0.0, None))
    scale = UNIT / n_more
    half = None if drop.half_width is None else drop.half_width * scale
    return Return(drop, Mean(drop.value * scale, half))
