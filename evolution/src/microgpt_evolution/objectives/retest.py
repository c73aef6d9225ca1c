"""Retrain a winner with fresh seeds, because the lowest of many losses is partly luck."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from microgpt.data.split import Split
from microgpt.inference import InferenceGpt
from microgpt.state import TrainResult
from microgpt.training.train import DivergedError, train
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.aesthetic_objective import generate_and_score
from microgpt_evolution.objectives.judge import known_names
from microgpt_evolution.objectives.scores import NameScores


@dataclass(frozen=True)
class Retest:
    """Losses of a genome trained with several seeds, in nats per token."""

    result: TrainResult  # training result with the first seed
    last_losses: tuple[float, ...]  # losses on the last training document
    val_losses: tuple[float, ...]  # losses on validation documents, which the search may have used
    test_losses: tuple[float, ...]  # losses on test documents, which the search has not used
    scores: tuple[NameScores, ...] = ()  # scores of generated names; empty if names are not scored


def retest(genome: Genome, parts: Split, seeds: Sequence[int], *, n_samples: int = 0) -> Retest:
    """Retrain a genome with each seed and measure its losses. If n_samples > 0, also score names.

    Raises:
        DivergedError: training diverged with every seed. Otherwise, diverged seeds are left out.
    """
    learnt_from = replace(parts, validation=(), test=())
    results, problem = [], None
    for seed in seeds:
        try:
            config = genome.train_config(seed)
            results.append(train(learnt_from, model=genome.model(), config=config))
        except DivergedError as error:
            problem = error
    if not results:
        assert problem, "there are no seeds"
        raise problem
    models = [InferenceGpt(result) for result in results]
    val_losses = tuple(model.evaluate(parts.validation).loss for model in models)
    known = known_names(parts.docs) if n_samples else frozenset()
    return Retest(
        results[0],
        tuple(result.losses[-1] for result in results),
        val_losses,
        tuple(model.evaluate(parts.test).loss for model in models),
        tuple(
            generate_and_score(model, known, n_samples, result.config.seed, loss)[1]
            for model, result, loss in zip(models, results, val_losses, strict=True)
            if n_samples
        ),
    )
