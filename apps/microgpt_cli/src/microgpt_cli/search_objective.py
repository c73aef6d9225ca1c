"""The search that the settings of a run ask for."""

from threading import Event

from microgpt.data import Split
from microgpt_cli.search_settings import Settings
from microgpt_evolution.aesthetic_evolution import AestheticEvolution
from microgpt_evolution.arena import Arena
from microgpt_evolution.audition import Audition
from microgpt_evolution.evolution import Audience
from microgpt_evolution.hydra import Hydra
from microgpt_evolution.hydra_evolution import HydraEvolution
from microgpt_evolution.laboratory import Laboratory, Scene
from microgpt_evolution.loss_evolution import LossEvolution
from microgpt_evolution.pools import Pool
from microgpt_evolution.records import Records


def make_evolution(
    settings: Settings, parts: Split, pool: Pool, records: Records, audience: Audience
) -> LossEvolution | AestheticEvolution | HydraEvolution:
    """Return the search, at its beginning.

    Args:
        settings: what it is.
        parts: the documents.
        pool: who measures.
        records: what has been measured, and what will be.
        audience: who is told.
    """
    arena = Arena.of(
        parts,
        settings.fitness or "held-out",
        max_flops=settings.max_flops,
        max_bytes=settings.max_bytes,
    )
    scene: Scene = arena
    if settings.samples:
        scene = Audition.of(
            arena, parts.docs, n_samples=settings.samples, measures_loss=settings.origin
        )
    laboratory = Laboratory(scene, pool, records, run_seed=settings.seed, should_stop=Event())
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
