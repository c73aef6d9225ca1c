"""Train an organism, generate names, and score them with the judge and the Hydra heads."""

import math
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Self

from microgpt.data.split import Split
from microgpt.inference import InferenceGpt
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.objectives.judge import known_names
from microgpt_evolution.objectives.loss_objective import DIVERGED, LossObjective
from microgpt_evolution.objectives.scores import EVOLVE_RUST_SAMPLES, NameScores, score_names
from microgpt_evolution.population import Evaluation

TEMPERATURE = 1.0
N_SAMPLES = 200  # with 5 names, as in evolve-rust, scores are mostly noise


@dataclass(frozen=True)
class AestheticObjective(LossObjective):
    """Trains an organism on documents and scores the names that it generates."""

    known: frozenset[str] = frozenset()  # names in all documents, including held-out documents
    n_samples: int = N_SAMPLES
    measures_loss: bool = False  # whether to measure the held-out loss, which is slow

    @classmethod
    def of(cls, parts: Split, fitness: Fitness = "held-out", **options: Any) -> Self:
        """Create the objective of a search; see `LossObjective.of` for the arguments."""
        return super().of(parts, fitness, known=known_names(parts.docs), **options)

    def measure(
        self, genome: Genome, seed: int, should_stop: Callable[[], bool] | None = None
    ) -> Evaluation:
        """Train an organism and score the generated names; see `LossObjective.measure`."""
        trained = self.train(genome, seed, should_stop)
        if isinstance(trained, Evaluation):
            return trained
        loss = self.held_out_loss(trained) if self.measures_loss else None
        if loss is not None and not math.isfinite(loss):
            return DIVERGED
        samples, scores = generate_and_score(
            InferenceGpt(trained), self.known, self.n_samples, seed, loss
        )
        return Evaluation(
            "ok", last_loss=trained.losses[-1], val_loss=loss, samples=samples, scores=scores
        )


def generate_and_score(
    model: InferenceGpt,
    known: Set[str],
    n_samples: int,
    seed: int,
    loss: float | None = None,
) -> tuple[tuple[str, ...], NameScores]:
    """Generate names with a model and return the names and their scores.

    Args:
        known: names that do not count as novel, from `known_names`.
        n_samples: number of names. With 5, as in evolve-rust, repeated names keep their score;
            with any other number, they score at most 0.
        loss: held-out loss, from which the Origin head computes its score.
    """
    samples = model.generate(n_samples, temperature=TEMPERATURE, seed=seed)
    repeats_count = n_samples == EVOLVE_RUST_SAMPLES
    return tuple(samples), score_names(samples, known, loss=loss, repeats_count=repeats_count)
