"""What a search did, from its records: compared with the search itself, told the same live."""

from random import Random

import pytest

from microgpt_evolution.objectives.scores import Scores
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.aesthetic_search import AestheticPopulation
from microgpt_evolution.search.hydra_search import HEAD_GENERATIONS, Hydra
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.replay import replay

HEADS = ["weaver", "mirror", "spark"]


def search(kind: str):
    if kind == "loss":
        return LossSearch(population=6, fitness="held-out", seed=3)
    if kind == "aesthetic":
        return AestheticPopulation(measure="judge", size=6, run_seed=3, rng=Random(3))
    return Hydra(HEADS, size=6, run_seed=3)


def measured(organism) -> Evaluation:
    """Return what an organism came to: made up, but the same whenever it is asked for."""
    rng = Random(organism.seed)
    if rng.random() < 0.1:
        return Evaluation("diverged")
    scores = {name: rng.random() for name in ("judge", *HEADS)}
    return Evaluation("ok", rng.random(), 2.0, 2.0, ("anna",), Scores(scores, 1.0, 0.9))


def lived(kind: str, n_generations: int):
    """Return the generations of a search that is told live, and all that it was told."""
    living, generations, known = search(kind), [], {}
    for number in range(1, n_generations + 1):
        if number > 1 and kind == "hydra" and number % HEAD_GENERATIONS == 1:
            living.gather()
        elif number > 1 and kind == "hydra":
            for population in living.heads.values():
                population.breed()
        elif number > 1:
            living.breed()
        todo = living.ask()
        known |= {(organism.genome, organism.seed): measured(organism) for organism in todo}
        living.tell([known[organism.genome, organism.seed] for organism in todo])
        generations.append({organism.id: organism for organism in living.organisms})
    return generations, known


@pytest.mark.parametrize("kind", ["loss", "aesthetic", "hydra"])
def test_a_replay_has_every_organism_of_the_search_elites_and_migrants_too(kind) -> None:
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


def test_a_search_that_was_stopped_ends_with_what_it_has_measured() -> None:
    generations, known = lived("loss", 5)
    bred_last = [o for o in generations[3].values() if (o.genome, o.seed) in known][-2:]
    later = {(o.genome, o.seed) for o in [*bred_last, *generations[4].values()]}
    kept = {key: evaluation for key, evaluation in known.items() if key not in later}
    kept |= {k: known[k] for g in generations[:3] for o in g.values() if (k := (o.genome, o.seed))}
    found = replay(search("loss"), 5, lambda genome, seed: kept.get((genome, seed)))
    assert [g.number for g in found] == [1, 2, 3, 4]
    (ranked,) = found[-1].populations.values()
    assert {o.id for o in ranked} == generations[3].keys() - {o.id for o in bred_last}


def test_a_search_of_which_nothing_is_known_has_no_generation() -> None:
    assert replay(search("hydra"), 3, lambda genome, seed: None) == []


def test_how_a_generation_was_bred_is_told() -> None:
    known = Evaluation("ok", 2.5, 2.5, 2.5)  # nothing ever gets better
    found = replay(search("loss"), 6, lambda genome, seed: known)
    assert "championship" in [g.stage for g in found]
