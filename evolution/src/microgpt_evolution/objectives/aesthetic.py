"""Where an organism is trained and says some names, and what all judges think of them.

Each evaluation has the scores of every judge and head, so one training serves whoever asks. This
module knows nothing of populations, and nothing of where it runs: an audition can be sent to
another process, and gives the same there.
"""

import math
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from microgpt.data.tokenizer import Document
from microgpt.inference import InferenceGpt
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.judge import known_names
from microgpt_evolution.objectives.loss import LossObjective
from microgpt_evolution.objectives.scores import SOURCE_SAMPLES, Scores, vote
from microgpt_evolution.population import Evaluation

TEMPERATURE = 1.0
N_SAMPLES = 200  # the source's five are no jury: what they come to is mostly luck


@dataclass(frozen=True)
class AestheticObjective:
    """What organisms are trained on, and judged against.

    Attributes:
        arena: where they are trained.
        known: all documents, those held out as well: what is not made up.
        n_samples: the names of a vote; with the source's five, repeats count as they do there.
        measures_loss: whether the held-out loss counts too, which takes longer than the training.
    """

    arena: LossObjective
    known: frozenset[str]
    n_samples: int = N_SAMPLES
    measures_loss: bool = False

    @classmethod
    def of(
        cls,
        arena: LossObjective,
        docs: Iterable[Document],
        *,
        n_samples: int,
        measures_loss: bool = False,
    ) -> "AestheticObjective":
        """Return the audition of a search.

        Args:
            arena: where organisms are trained.
            docs: all documents.
            n_samples: see `AestheticObjective`.
            measures_loss: see there.
        """
        return cls(arena, known_names(docs), n_samples, measures_loss)

    def flops(self, genome: Genome) -> int:
        """Return the floating-point operations of a training."""
        return self.arena.flops(genome)

    def refusal(self, genome: Genome) -> str | None:
        """Return why a genome is not trained, or None if it is."""
        return self.arena.refusal(genome)

    def measure(
        self, genome: Genome, seed: int, should_stop: Callable[[], bool] | None = None
    ) -> Evaluation:
        """Train an organism, let it say names, and return what they came to.

        Args:
            genome: its shape and course.
            seed: of its training, and of its names.
            should_stop: is asked all the time; once it says so, what is returned means nothing.
        """
        trained = self.arena.train(genome, seed, should_stop)
        if isinstance(trained, Evaluation):
            return trained
        loss = self.arena.held_out_loss(trained) if self.measures_loss else None
        if loss is not None and not math.isfinite(loss):
            return Evaluation("diverged")
        samples, opinion = hear(InferenceGpt(trained), self.known, self.n_samples, seed, loss)
        return Evaluation(
            "ok", last_loss=trained.losses[-1], val_loss=loss, samples=samples, vote=opinion
        )


def hear(
    model: InferenceGpt,
    known: Set[str],
    n_samples: int,
    seed: int,
    loss: float | None = None,
) -> tuple[tuple[str, ...], Scores]:
    """Return names that a model makes up, and what they come to.

    Args:
        model: whose.
        known: what is not made up, from `known_names`.
        n_samples: how many; repeats among as many as in the source count as they do there.
        seed: of the first.
        loss: what Origin goes by, where it has a say.
    """
    samples = model.generate(n_samples, temperature=TEMPERATURE, seed=seed)
    repeats_count = n_samples == SOURCE_SAMPLES
    return tuple(samples), vote(samples, known, loss=loss, repeats_count=repeats_count)
