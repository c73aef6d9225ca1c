"""The search that the settings of a run ask for."""

from threading import Event

from microgpt.data.dataset import Split
from microgpt_evolution.objectives.aesthetic import AestheticObjective
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator, Objective
from microgpt_evolution.objectives.loss import LossObjective
from microgpt_evolution.runs.records import Records
from microgpt_evolution.search.aesthetic import AestheticEvolution
from microgpt_evolution.search.hydra import HydraEvolution
from microgpt_evolution.search.hydra_population import Hydra
from microgpt_evolution.search.loss import LossEvolution
from microgpt_evolution.search.runner import Audience
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.workers.pools import Pool


def make_evolution(
    settings: SearchSettings, parts: Split, pool: Pool, records: Records, audience: Audience
) -> LossEvolution | AestheticEvolution | HydraEvolution:
    """Return the search, at its beginning.

    Args:
        settings: what it is.
        parts: the documents.
        pool: who measures.
        records: what has been measured, and what will be.
        audience: who is told.
    """
    arena = LossObjective.of(
        parts,
        settings.fitness or "held-out",
        max_flops=settings.max_flops,
        max_bytes=settings.max_bytes,
    )
    scene: Objective = arena
    if settings.samples:
        scene = AestheticObjective.of(
            arena, parts.docs, n_samples=settings.samples, measures_loss=settings.origin
        )
    laboratory = CachedEvaluator(scene, pool, records, run_seed=settings.seed, should_stop=Event())
    if settings.objective == "loss":
        assert settings.fitness
        return LossEvolution(
            laboratory,
            audience,
            fitness=settings.fitness,
            population=settings.population,
            generations=settings.generations,
            ancestor=settings.warm_start,
        )
    if settings.objective == "aesthetic":
        assert settings.samples
        return AestheticEvolution(
            laboratory,
            audience,
            population=settings.population,
            generations=settings.generations,
            n_samples=settings.samples,
            ancestor=settings.warm_start,
        )
    assert settings.exchange
    hydra = Hydra(
        settings.heads,
        size=settings.population,
        run_seed=settings.seed,
        exchange=settings.exchange,
        ancestor=settings.warm_start,
    )
    return HydraEvolution(
        laboratory,
        audience,
        hydra,
        cycles=settings.generations,
        vocab_size=arena.tokenizer.vocab_size,
        head=settings.head,
    )
