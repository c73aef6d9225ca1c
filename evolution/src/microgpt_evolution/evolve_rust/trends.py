"""What the best organisms of a run have that the worst have not, as the source's log tells it.

This module prints nothing and knows nothing of a run but its organisms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution.population import Organism

N_COMPARED = 10  # of the best, and of the worst
SMALLEST_DELTA = 0.01  # one below it gets no arrow


@dataclass(frozen=True)
class Trend:
    """The mean of a gene among the best organisms, and among the worst."""

    top: float
    bottom: float

    @property
    def delta(self) -> float:
        """How much more the best have."""
        return self.top - self.bottom

    def either(self, more: str, less: str) -> str:
        """Return the first word if the best have more, else the second."""
        return more if self.delta > 0 else less


class Trends:
    """The trends of all genes.

    Args:
        ranked: the organisms of a run that have finished, the best first; at least one.
    """

    def __init__(self, ranked: Sequence[Organism]) -> None:
        self._top = [organism.genome for organism in ranked[:N_COMPARED]]
        self._bottom = [organism.genome for organism in ranked[-N_COMPARED:]]

    def of(self, gene: str) -> Trend:
        """Return the trend of a gene."""
        return Trend(
            fmean(getattr(genome, gene) for genome in self._top),
            fmean(getattr(genome, gene) for genome in self._bottom),
        )


def table(trends: Trends) -> list[str]:
    """Return a line for each gene, below the heads of the columns."""
    lines = [f"  {'Param':12} {'Top 10':>10} {'Bottom 10':>10} {'Delta':>10}"]
    for name, gene, decimals in (
        ("Embedding", "n_emb", 1),
        ("Heads", "n_head", 1),
        ("Layers", "n_layer", 1),
        ("Context", "n_ctx", 1),
        ("FF Mult", "n_ff_exp", 1),
        ("Learn Rate", "lr", 4),
        ("Steps", "steps", 1),
    ):
        trend = trends.of(gene)
        arrow = "  " if abs(trend.delta) < SMALLEST_DELTA else trend.either(" ^", " v")
        lines.append(
            f"  {name:12} {trend.top:>10.{decimals}f} {trend.bottom:>10.{decimals}f} "
            f"{trend.delta:>+9.{decimals}f}{arrow}"
        )
    return lines


def insights(trends: Trends) -> list[str]:
    """Return the trends in words, those that are large enough to be told."""
    found = []
    layers, emb, steps = trends.of("n_layer"), trends.of("n_emb"), trends.of("steps")
    lr, ctx = trends.of("lr"), trends.of("n_ctx")
    if layers.top > layers.bottom + 0.3:
        found.append(
            f"Depth matters: top configs avg {layers.top:.1f} layers "
            f"vs {layers.bottom:.1f} in bottom"
        )
    if abs(emb.delta) > 3:
        found.append(f"Embedding size: {emb.either('larger', 'smaller')} is better {_means(emb)}")
    if abs(steps.delta) > 100:
        found.append(
            f"Training duration: {steps.either('more', 'fewer')} steps preferred {_means(steps)}"
        )
    if lr.top > 1.5 * lr.bottom or lr.top < 0.67 * lr.bottom:
        found.append(f"Learning rate: {lr.either('higher', 'lower')} is better {_means(lr, 4)}")
    if abs(ctx.delta) > 2:
        found.append(f"Context window: {ctx.either('longer', 'shorter')} preferred {_means(ctx)}")
    if not found:
        return ["  No strong hyperparameter trends detected (more generations may help)."]
    return [f"  - {insight}" for insight in found]


def _means(trend: Trend, decimals: int = 0) -> str:
    return f"(top avg {trend.top:.{decimals}f} vs bottom {trend.bottom:.{decimals}f})"
