"""A Gaussian process that predicts the loss at the end of training runs.

The process assumes that similar genomes have similar losses, and that the losses of one training
run are correlated. Swersky, Snoek & Adams (2014) use a different kernel for the training time.

Shapes: N = losses so far, M = organisms to predict, G = genes.
"""

import math
from collections.abc import Sequence
from copy import copy
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt_evolution.genome import Space
from microgpt_evolution.trial import EVALUATIONS, RUNGS, Contestant

Array = NDArray[np.float64]

# The process models log(distance + LEAST), where the distance of a loss is its relative excess over
# the lowest loss, clipped to WORST.
LEAST, WORST = 0.01, 0.5
TINY = 1e-6  # minimum divisor when a distance is computed; needed if the lowest loss is near 0
TIME_SCALE = 0.5  # length scale of the training time, whose logarithm is scaled to [0, 1]
DIGITS = 8  # results are rounded to this many decimal places before they are compared
JITTER = 0.05  # standard deviation of the noise, relative to that of the values
# Grids of the kernel's hyper-parameters; the marginal likelihood selects a value from each grid.
GENE_SCALES = (0.5, 0.8, 1.2, 2.0)  # length scales of the genes
CURVE_VARIANCES = (0.3, 0.8)  # variances of the part of a learning curve that depends on the genes
RUN_DEVIATIONS = (0.05, 0.15, 0.3)  # standard deviations between training runs of a genome


class LossForecast(NamedTuple):
    """A normal distribution of log(distance + LEAST) at the end of a training run."""

    mean: float
    deviation: float  # standard deviation

    def improvement(self, lowest: float) -> float:
        """Return the expected improvement, E[max(0, lowest - value)]."""
        if not self.deviation:
            return max(0.0, lowest - self.mean)
        z = (lowest - self.mean) / self.deviation
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        improvement = self.deviation * (z * (1 + math.erf(z / math.sqrt(2))) / 2 + density)
        return round(improvement, DIGITS)


class _Points(NamedTuple):
    """Inputs of the Gaussian process: organisms, each at a point in its training."""

    genes: Array  # (N, G)
    times: Array  # (N,), in [0, 1]
    ids: NDArray[np.str_]  # (N,)


class _Kernel(NamedTuple):
    """A covariance function of the process, relative to the variance of the values."""

    gene_scale: float
    curve_variance: float
    run_deviation: float

    def __call__(self, a: _Points, b: _Points) -> Array:
        """Return the covariances of each point of `a` with each point of `b`, (len(a), len(b))."""
        squares = np.square(a.genes).sum(-1)[:, None] + np.square(b.genes).sum(-1)
        squares -= 2 * a.genes @ b.genes.T
        genes = np.exp(-squares / (2 * self.gene_scale**2))
        time = np.exp(-np.square(a.times[:, None] - b.times[None]) / (2 * TIME_SCALE**2))
        run = self.run_deviation**2 * (a.ids[:, None] == b.ids[None])
        covariances: Array = genes + time * (1 + self.curve_variance * genes + run)
        return covariances

    @property
    def variance(self) -> float:
        """The prior variance of the process at each point."""
        return 2 + self.curve_variance + self.run_deviation**2


class Surrogate:
    """A Gaussian process fitted to the losses of organisms."""

    def __init__(self, space: Space, organisms: Sequence[Contestant]) -> None:
        self._space = space
        self._seen = seen = [(each, rung) for each in organisms for rung in _rungs(each)]
        self._points = self._at(seen)
        losses = np.array([min(each.losses[:rung], default=np.inf) for each, rung in seen])
        lowest = losses.min() if np.isfinite(losses.min()) else 0.0
        distances = (losses - lowest) / max(lowest, TINY)
        self._values = np.log(np.minimum(distances, WORST) + LEAST)
        self._mean, self._scale = self._values.mean(), max(0.1, self._values.std())
        kernels = [_Kernel(*each) for each in product(GENE_SCALES, CURVE_VARIANCES, RUN_DEVIATIONS)]
        self._kernel = max(kernels, key=lambda kernel: round(self._fit(kernel), DIGITS))
        self._fit(self._kernel)

    def predict(self, organisms: Sequence[Contestant]) -> list[LossForecast]:
        """Predict the final losses of organisms, whether or not they have been trained.

        Predictions are rounded, so that a search does not depend on rounding errors.
        """
        points = self._at([(organism, EVALUATIONS) for organism in organisms])
        white = np.linalg.solve(self._cholesky, self._kernel(self._points, points))  # (N, M)
        means = self._mean + self._scale * (self._white @ white)
        variances = self._kernel.variance - np.square(white).sum(0)
        deviations = self._scale * np.sqrt(np.maximum(variances, 0.0))
        pairs = zip(means.round(DIGITS).tolist(), deviations.round(DIGITS).tolist(), strict=True)
        return [LossForecast(mean, deviation) for mean, deviation in pairs]

    def expecting(self, organism: Contestant) -> "Surrogate":
        """Return a surrogate that treats the predicted loss of an organism as measured."""
        new = copy(self)
        new._seen = [*self._seen, (organism, EVALUATIONS)]
        new._points = self._at(new._seen)
        new._values = np.append(self._values, self.predict([organism])[0].mean)
        new._fit(self._kernel)
        return new

    def _fit(self, kernel: _Kernel) -> float:
        """Fit the process with a kernel; return the log marginal likelihood up to a constant."""
        covariances = kernel(self._points, self._points) + JITTER**2 * np.eye(len(self._values))
        self._cholesky = np.linalg.cholesky(covariances)
        centred = (self._values - self._mean) / self._scale
        self._white = np.linalg.solve(self._cholesky, centred)
        determinant = np.log(np.diag(self._cholesky)).sum()
        return float(-self._white @ self._white / 2 - determinant)

    def _at(self, places: Sequence[tuple[Contestant, int]]) -> _Points:
        """Return the inputs for organisms, each after the given number of evaluations."""
        return _Points(
            np.array([self._space.coordinates(organism.genome) for organism, _ in places]),
            np.log([n_evaluations for _, n_evaluations in places]) / math.log(EVALUATIONS),
            np.array([organism.id for organism, _ in places]),
        )


def _rungs(organism: Contestant) -> list[int]:
    """Return the rungs that an organism has reached, and the last one if its training has ended."""
    ended = [EVALUATIONS] * organism.has_ended
    return [*(rung for rung in RUNGS[:-1] if rung <= len(organism.losses)), *ended]
