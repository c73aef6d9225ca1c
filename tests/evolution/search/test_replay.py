"""What a search did, from its records: compared with the search itself, told the same live."""

from itertools import chain
from random import Random

import pytest

from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.aesthetic_search import AestheticPopulation
from microgpt_evolution.search.hydra_search import Hydra
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.replay import replay

HEADS = ["weaver", "mirror", "spark"]


def search(kind: str):
    if kind == "loss":
        return LossSearch(population=6, fitness="held-out", seed=3)
    if kind == "aesthetic":
        return AestheticPopulation(measure="judge", size=6, seed=3)
    return Hydra(HEADS, size=6, seed=3)


def measured(organism) -> Evaluation:
    """Return what an organism came to: made up, but the same whenever it is asked for."""
    rng = Random(organism.seed)
    if rng.random() < 0.1:
        return Evaluation("diverged")
    scores = {name: rng.random() for name in ("judge", *HEADS)}
    return Evaluation("ok", rng.random(), 2.0, 2.0, ("anna",), NameScores(scores, 1.0, 0.9))


def lived(kind: str, n_generations: int):
    """Return the generations of a search that is told live, and all that it was told."""
    living, generations, known = search(kind), [], {}
    for _ in range(n_generations):
        todo = living.ask()
        known |= {(organism.genome, organism.seed): measured(organism) for organism in todo}
        living.tell([known[organism.genome, organism.seed] for organism in todo])
        ranked = [each.generations[-1] for each in living.populations.values()]
        generations.append({organism.id: organism for organism in chain(*ranked)})
    return generations, known


@pytest.mark.parametrize("kind", ["loss", "aesthetic", "hydra"])
def test_a_replay_has_every_organism_of_the_search(kind) -> None:
    generations, known = lived(kind, 8)
    found = replay(search(kind), 8, lambda genome, seed: known.get((genome, seed)))
    assert [g.number for g in found] == list(range(1, 9))
    organisms = [
        {organism.id: organism for ranked in g.populations.values() for organism in ranked}
        for g in found
    ]
    assert organisms == generations
    assert any(o.origin == "elite" for g in organisms for o in g.values())
    assert all(
        ranked == sorted(ranked, key=lambda organism: organism.fitness)
        for g in found
        for ranked in g.populations.values()
    )


def test_a_replay_of_a_stopped_search_ends_where_it_stopped() -> None:
    generations, known = lived("loss", 5)
    bred_last = [o for o in generations[3].values() if (o.genome, o.seed) in known][-2:]
    later = {(o.genome, o.seed) for o in [*bred_last, *generations[4].values()]}
    kept = {key: evaluation for key, evaluation in known.items() if key not in later}
    kept |= {k: known[k] for g in generations[:3] for o in g.values() if (k := (o.genome, o.seed))}
    found = replay(search("loss"), 5, lambda genome, seed: kept.get((genome, seed)))
    assert [g.number for g in found] == [1, 2, 3, 4]
    (ranked,) = found[-1].populations.values()
    assert {o.id for o in ranked} == generations[3].keys() - {o.id for o in bred_last}


def test_an_empty_search_has_no_generations() -> None:
    assert replay(search("hydra"), 3, lambda genome, seed: None) == []


def test_a_replay_tells_how_each_generation_was_bred() -> None:
    known = Evaluation("ok", 2.5, 2.5, 2.5)  # nothing ever gets better
    found = replay(search("loss"), 6, lambda genome, seed: known)
    assert "championship" in [g.stage for g in found]
