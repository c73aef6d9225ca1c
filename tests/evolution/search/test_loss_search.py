import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.loss_search import LossSearch

FITNESSES = st.sampled_from(["held-out", "last-doc"])


def measure(organism) -> Evaluation:
    """Return what a training may give: better with more width and a fitting rate, some luck, and
    now and then no loss at all."""
    luck = Random(organism.seed).gauss(0, 0.1)
    if luck > 0.2:
        return Evaluation("crashed")
    genome = organism.genome
    loss = 3 - genome.n_emb / 64 + abs(math.log10(genome.lr) + 2) / 4 + luck
    return Evaluation("ok", math.nan if luck < -0.22 else loss, loss, loss)


def run(size, fitness, seed, n_generations=12):
    """Return a search after so many generations, and how each was bred."""
    search, stages = LossSearch(population=size, fitness=fitness, seed=seed), []
    for _ in range(n_generations):
        search.tell([measure(organism) for organism in search.ask()])
        search.breed()
        stages.append(search.stage)
    return search, stages


@given(st.integers(1, 20), FITNESSES, st.integers(0, 1000))
def test_the_best_loss_rises_only_if_measured_again(size, fitness, seed) -> None:
    search, stages = run(size, fitness, seed)
    steps = zip(stages, search.generations, search.generations[1:], strict=False)
    for stage, before, after in steps:
        assert len(after) == size
        if stage == "normal":
            assert after[0].fitness <= before[0].fitness
            assert before[0].genome in [organism.genome for organism in after] or (
                not before[0].has_finished
            )
        if any(organism.has_finished for organism in after):
            assert after[0].has_finished


@given(st.integers(1, 20), FITNESSES, st.integers(0, 1000))
def test_the_same_seed_gives_the_same_search(size, fitness, seed) -> None:
    first, second = (run(size, fitness, seed)[0] for _ in range(2))
    assert repr(first.generations) == repr(second.generations)
    assert repr(first.organisms) == repr(second.organisms)


def test_another_seed_gives_another_search() -> None:
    first, second = (run(8, "held-out", seed)[0] for seed in (1, 2))
    assert repr(first.generations) != repr(second.generations)


def test_trainings_have_distinct_seeds_and_elites_keep_theirs() -> None:
    search, _ = run(8, "held-out", 5, n_generations=30)
    trained = [o for ranked in search.generations for o in ranked if o.origin != "elite"]
    assert len({organism.seed for organism in trained}) == len(trained)
    measured = {organism.id: organism for organism in trained}
    for ranked in search.generations:
        for elite in (o for o in ranked if o.origin == "elite" and o.parents[0] in measured):
            origin = measured[elite.parents[0]]
            assert (elite.seed, elite.evaluation) == (origin.seed, origin.evaluation)


def test_an_elite_is_not_evaluated_again() -> None:
    search, stages = run(8, "held-out", 5, n_generations=1)
    assert stages == ["normal"]
    assert [organism.slot for organism in search.ask()] == list(range(2, 9))


def test_a_stuck_search_climbs_the_ladder_to_its_end() -> None:
    search, stages = LossSearch(population=4, fitness="last-doc", seed=1), []
    for _ in range(6):
        search.tell([Evaluation("ok", 2.0, 2.0)] * len(search.ask()))
        search.breed()
        stages.append(search.stage)
    assert stages == ["normal", "normal", "championship", "championship", "cataclysm", "normal"]


def test_a_search_survives_a_generation_of_crashes() -> None:
    search = LossSearch(population=3, fitness="held-out", seed=1)
    for _ in range(7):
        ranked = search.tell([Evaluation("crashed")] * len(search.ask()))
        assert not any(organism.has_finished for organism in ranked)
        search.breed()
    ranked = search.tell([measure(organism) for organism in search.ask()])
    assert ranked[0].has_finished


def test_results_for_every_organism_are_required() -> None:
    search = LossSearch(population=3, fitness="held-out", seed=1)
    with pytest.raises(ValueError, match="shorter"):
        search.tell([Evaluation("ok", 2.0)])


def test_failing_species_do_not_return_as_immigrants() -> None:
    search = LossSearch(population=20, fitness="last-doc", seed=3)
    avoided: set[str] = set()
    for _ in range(10):
        search.tell([Evaluation("ok", 2.4, 2.4)] * len(search.ask()))
        avoided |= set(search.blacklist.species)
        search.breed()
        random = [o for o in search.organisms if o.origin in ("immigrant", "cataclysm")]
        assert all(organism.genome.species not in avoided for organism in random)
    assert avoided
