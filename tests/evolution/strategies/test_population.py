import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_evolution.strategies.genetic_operators import WIDE
from microgpt_evolution.strategies.organism import Finalist
from microgpt_evolution.strategies.population import LossPopulation, loser_threshold
from microgpt_evolution.trial import Evaluation, training_seed

SIZES = st.integers(1, 20)
SEEDS = st.integers(0, 2**32)
STAGNATION = {"normal": 0, "championship": 2, "cataclysm": 4}
STAGES = st.sampled_from([*STAGNATION])
OBJECTIVES = st.sampled_from(["held-out", "last-doc"])
FITNESSES = st.lists(st.floats(1, 4) | st.just(math.nan) | st.none(), min_size=1, max_size=20)


def bred(stage, ranked, seed=0, blacklisted=()):
    """Return the generation that follows a ranked generation at a given stage of stagnation."""
    search = LossPopulation(size=len(ranked), fitness="held-out", seed=42)
    search.organisms, search.generations, search.rng = ranked, [ranked], Random(seed)
    search.stagnation, search.failures = STAGNATION[stage], Counter(2 * [*blacklisted])
    search.ask()
    return search.organisms


def origins(population) -> list[str]:
    return [organism.origin for organism in population]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@given(seed=SEEDS)
def test_a_search_begins_with_random_genomes(size, seed) -> None:
    population = LossPopulation(size=size, fitness="held-out", seed=seed).organisms
    assert origins(population) == ["random"] * size
    assert all(o.parents == () for o in population)
    for slot, organism in enumerate(population, start=1):  # no organism has been evaluated yet
        assert (organism.id, organism.evaluation) == (f"g1-{slot}", None)
        assert organism.seed == training_seed(seed, 1, slot)


@given(STAGES, FITNESSES, SEEDS)
def test_the_best_survives_and_only_the_finished_breed(make_ranked, stage, fitnesses, seed) -> None:
    ranked = make_ranked(fitnesses, generation=3)
    population = bred(stage, ranked, seed)
    assert [o.place for o in population] == [(4, slot) for slot in range(1, len(ranked) + 1)]
    for organism in population:
        if organism.origin == "elite":
            assert (organism.seed, organism.evaluation) == (ranked[0].seed, ranked[0].evaluation)
        else:
            assert organism.seed == training_seed(42, 4, organism.place[1])
            assert organism.evaluation is None
    finished = {organism.id for organism in ranked if organism.has_finished}
    assert {parent for organism in population for parent in organism.parents} <= finished
    if finished:
        assert population[0].genome == ranked[0].genome
        assert population[0].parents == (ranked[0].id,)
        assert population[0].origin == ("elite" if stage == "normal" else "re-eval")
    else:
        expected = "cataclysm" if stage == "cataclysm" else "immigrant"
        assert set(origins(population)) == {expected}


@pytest.mark.parametrize(
    ("size", "n_new", "n_bred"), [(1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 2, 1), (8, 2, 5)]
)
def test_population_size_sets_immigrants_and_offspring(make_ranked, size, n_new, n_bred) -> None:
    population = bred("normal", make_ranked([2.0] * size))
    assert origins(population[: 1 + n_new]) == ["elite", *["immigrant"] * n_new]
    rest = origins(population[1 + n_new :])
    assert len(rest) == n_bred
    assert set(rest) <= {"cross", "mutant", "hyper"}


def test_offspring_are_40_percent_crosses_and_40_percent_mutants(make_ranked) -> None:
    size = 4003
    population = bred("normal", make_ranked([2.0] * size))
    counts = Counter(origins(population))
    for origin, share in (("cross", 0.4), ("mutant", 0.4), ("hyper", 0.2)):
        assert counts[origin] / (size - 3) == pytest.approx(share, abs=0.032)  # 4 standard errors
    n_parents = {"elite": 1, "immigrant": 0, "cross": 2, "mutant": 1, "hyper": 1}
    assert all(len(organism.parents) == n_parents[organism.origin] for organism in population)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, "re-eval"),
        (2, "re-eval grown"),
        (3, "re-eval grown champion"),
        (4, "re-eval grown champion champion"),
        (5, "re-eval grown champion champion champion"),
        (6, "re-eval grown champion champion champion immigrant"),
        (8, "re-eval grown champion champion champion tuned tuned immigrant"),
    ],
)
def test_a_championship_breeds_the_same_mix_as_evolve_rust(make_ranked, size, expected) -> None:
    ranked = make_ranked([2.4, 2.1, 2.3, 2.2, 2.5, 2.6, 2.7, 2.8][:size])
    population = bred("championship", ranked)
    assert origins(population) == expected.split()
    if size > 4:  # each pair of the best three is crossed
        pairs = [organism.parents for organism in population if organism.origin == "champion"]
        assert pairs == [("g1-2", "g1-4"), ("g1-4", "g1-3"), ("g1-3", "g1-2")]
    for organism in population:  # only growth and immigrants change the shape
        is_same = organism.genome.species == ranked[0].genome.species
        assert is_same == (organism.origin not in ("grown", "immigrant"))


@given(SIZES, SEEDS)
def test_a_cataclysm_keeps_the_best_and_adds_random_genomes(make_ranked, size, seed) -> None:
    population = bred("cataclysm", make_ranked([2.0] * size), seed)
    assert origins(population) == ["re-eval", *["cataclysm"] * (size - 1)]
    for organism in population[1:]:
        assert organism.genome.n_embd in WIDE["n_embd"]
        assert organism.genome.steps in WIDE["steps"]


@pytest.mark.parametrize(("stage", "origin"), [("normal", "immigrant"), ("cataclysm", "cataclysm")])
def test_random_genomes_avoid_blacklisted_species(make_ranked, stage, origin) -> None:
    ranked = make_ranked([2.0] * 20)
    blacklisted = {o.genome.species for o in bred(stage, ranked) if o.origin == origin}
    population = bred(stage, ranked, blacklisted=blacklisted)
    assert all(o.genome.species not in blacklisted for o in population if o.origin == origin)


def measure(organism) -> Evaluation:
    """Return a simulated evaluation, which may be a failure. The loss depends on the width, on the
    learning rate and on chance."""
    luck = Random(organism.seed).gauss(0, 0.1)
    if luck > 0.2:
        return Evaluation("crashed")
    genome = organism.genome
    loss = 3 - genome.n_embd / 64 + abs(math.log10(genome.lr) + 2) / 4 + luck
    return Evaluation("ok", math.nan if luck < -0.22 else loss, loss, loss)


def run(size, fitness, seed, n_generations=12):
    """Return a search after n_generations, and whether the best organism survived each of them."""
    search, kept = LossPopulation(size=size, fitness=fitness, seed=seed), []
    for _ in range(n_generations):
        search.tell([measure(organism) for organism in search.ask()])
        search.ask()
        kept.append("elite" in origins(search.organisms))
    return search, kept


@given(SIZES, OBJECTIVES, st.integers(0, 1000))
def test_the_best_loss_of_a_normal_generation_never_rises(size, fitness, seed) -> None:
    search, kept = run(size, fitness, seed)
    steps = zip(kept, search.generations, search.generations[1:], strict=False)
    for has_kept, before, after in steps:
        assert len(after) == size
        if has_kept:
            assert after[0].fitness <= before[0].fitness
            assert before[0].genome in [organism.genome for organism in after]
        if any(organism.has_finished for organism in after):
            assert after[0].has_finished


@settings(max_examples=15)
@given(SIZES, OBJECTIVES, st.integers(0, 1000))
def test_the_result_of_a_search_depends_only_on_its_seed(size, fitness, seed) -> None:
    first, second, other = (run(size, fitness, each)[0] for each in (seed, seed, seed + 1))
    assert repr(first.generations) == repr(second.generations) != repr(other.generations)
    assert repr(first.organisms) == repr(second.organisms)


def climb(*bests: float) -> list[tuple[int, str]]:
    """Return the stagnation and the next organism's origin after each of the given best losses."""
    search, told = LossPopulation(size=1, fitness="last-doc", seed=1), []
    for best in bests:
        search.organisms = [replace(o, evaluation=None) for o in search.organisms]
        search.tell([Evaluation("ok", best)])
        stagnation = search.stagnation
        search.ask()
        told.append((stagnation, search.organisms[0].origin))
    return told


NORMAL_0, NORMAL_1 = (0, "elite"), (1, "elite")
CHAMPIONSHIP_2, CHAMPIONSHIP_3, CATACLYSM = (2, "re-eval"), (3, "re-eval"), (4, "re-eval")
FAILED = [(0, "immigrant"), (1, "immigrant"), (2, "immigrant")]


@pytest.mark.parametrize(
    ("bests", "told"),
    [
        ([2.0, 1.9, 1.8, 1.7], [NORMAL_0] * 4),  # each loss is lower than the previous one
        (
            [1.6] * 6,  # a cataclysm resets the stagnation
            [NORMAL_0, NORMAL_1, CHAMPIONSHIP_2, CHAMPIONSHIP_3, CATACLYSM, NORMAL_1],
        ),
        ([math.inf, math.inf, math.inf, 2.0], [*FAILED, NORMAL_0]),
    ],
)
def test_the_stage_of_a_search_follows_from_its_stagnation(bests, told) -> None:
    assert climb(*bests) == told


def failures(organisms) -> Counter[str]:
    """Return the number of failures that a search counts for each species of its organisms."""
    search = LossPopulation(size=len(organisms), fitness="last-doc", seed=1)
    search.organisms = organisms
    search.tell([])
    return +search.failures


def test_a_loss_above_the_threshold_counts_as_a_failure_of_its_species(make_ranked) -> None:
    assert failures(make_ranked([2.3, 2.4], lr=0.1)) == {"16-4-1-16-4": 1}  # the threshold is 2.3
    assert failures(make_ranked([2.31, 2.9])) == {"16-4-1-16-4": 2}


def test_crashes_nan_losses_and_kept_elites_are_not_failures(make_ranked, make_organism) -> None:
    assert not failures(make_ranked([None, math.nan]))
    assert not failures([make_organism(2.9, origin="elite")])
    assert failures([make_organism(2.9, origin="re-eval")]) == {"16-4-1-16-4": 1}


@pytest.mark.parametrize(
    ("values", "n_losers"),
    [
        ([2.1], 0),
        ([2.1, 2.2, 9.0], 0),
        ([2.1, 2.2, 2.3, 2.4], 1),
        ([2.4, 2.3, 2.2, 2.1, 2.5, 2.6, 2.7], 1),
        ([2.4, 2.3, 2.2, 2.1, 2.5, 2.6, 2.7, 2.8], 2),
        ([2.2] * 8, 0),
        ([2.1] * 4 + [2.9] * 4, 0),
    ],
)
def test_held_out_losses_in_the_worst_quartile_count_as_failures(values, n_losers) -> None:
    threshold = loser_threshold("held-out", values)
    assert sum(value > threshold for value in values) == n_losers


def test_the_finalist_with_the_best_mean_over_seeds_wins(make_organism) -> None:
    lucky, steady = (
        Finalist(make_organism(each[0]), [Evaluation("ok", each[1])])
        for each in ([1.0, 3.0], [1.5, 1.5])
    )
    assert LossPopulation(size=2, fitness="held-out", seed=1).choose([lucky, steady]) is steady
    assert (lucky.fitness(None), steady.fitness(None)) == (2.0, 1.5)
