import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.population import Provenance
from microgpt_evolution.search.genome_operators import NORMAL, WIDE, random_genome
from microgpt_evolution.search.loss_breeding import MAX_TRIES, first_generation, next_generation
from microgpt_evolution.seeds import training_seed

SIZES = st.integers(1, 20)
SEEDS = st.integers(0, 2**32)
RUNGS = st.sampled_from(["normal", "championship", "cataclysm"])
FITNESSES = st.lists(st.floats(1, 4) | st.just(math.nan) | st.none(), min_size=1, max_size=20)


def bred(stage, ranked, seed=0, blacklisted=()):
    return next_generation(stage, ranked, run_seed=42, rng=Random(seed), blacklisted=blacklisted)


def origins(population) -> list[Provenance]:
    return [organism.origin for organism in population]


@given(SIZES, SEEDS)
def test_the_first_generation_is_random(size, seed) -> None:
    population = first_generation(size, run_seed=42, rng=Random(seed))
    assert origins(population) == ["random"] * size
    assert [organism.id for organism in population] == [f"g1-{i + 1}" for i in range(size)]
    assert all(organism.evaluation is None for organism in population)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@given(seed=SEEDS)
def test_half_of_a_warm_start_is_the_ancestor_and_mutants(size, seed) -> None:
    ancestor = random_genome(Random(seed), WIDE)
    population = first_generation(size, run_seed=42, rng=Random(seed), ancestor=ancestor)
    n_mutants = max(0, size // 2 - 1)
    n_random = size - 1 - n_mutants
    assert origins(population) == ["genome", *["mutant"] * n_mutants, *["random"] * n_random]
    assert population[0].genome == ancestor
    assert {o.parents for o in population if o.origin == "mutant"} <= {("g1-1",)}
    assert all(o.parents == () for o in population if o.origin != "mutant")
    for slot, organism in enumerate(population, start=1):  # measured anew, as all are
        assert (organism.id, organism.evaluation) == (f"g1-{slot}", None)
        assert organism.seed == training_seed(42, 1, slot)
        assert organism.genome.n_emb % organism.genome.n_head == 0


@given(RUNGS, FITNESSES, SEEDS)
def test_the_size_is_constant_and_each_slot_has_a_seed(make_ranked, stage, fitnesses, seed) -> None:
    ranked = make_ranked(fitnesses, generation=3)
    population = bred(stage, ranked, seed)
    assert [(o.generation, o.slot) for o in population] == [
        (4, slot) for slot in range(1, len(ranked) + 1)
    ]
    for organism in population:
        if organism.origin == "elite":
            assert (organism.seed, organism.evaluation) == (ranked[0].seed, ranked[0].evaluation)
        else:
            assert organism.seed == training_seed(42, 4, organism.slot)
            assert organism.evaluation is None


@given(RUNGS, FITNESSES, SEEDS)
def test_only_finished_organisms_breed_and_the_best_comes_first(
    make_ranked, stage, fitnesses, seed
) -> None:
    ranked = make_ranked(fitnesses)
    population = bred(stage, ranked, seed)
    finished = {organism.id for organism in ranked if organism.has_finished}
    assert {parent for organism in population for parent in organism.parents} <= finished
    if finished:
        assert population[0].genome == ranked[0].genome
        assert population[0].parents == (ranked[0].id,)
        assert population[0].origin == ("elite" if stage == "normal" else "re-eval")
    else:
        expected = "cataclysm" if stage == "cataclysm" else "immigrant"
        assert set(origins(population)) == {expected}


@given(RUNGS, FITNESSES, SEEDS)
def test_the_same_random_state_breeds_the_same_generation(
    make_ranked, stage, fitnesses, seed
) -> None:
    ranked = make_ranked(fitnesses)
    assert repr(bred(stage, ranked, seed)) == repr(bred(stage, ranked, seed))


@pytest.mark.parametrize(
    ("size", "n_immigrants", "n_bred"), [(1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 2, 1), (8, 2, 5)]
)
def test_a_generation_has_elites_immigrants_and_offspring(
    make_ranked, size, n_immigrants, n_bred
) -> None:
    population = bred("normal", make_ranked([2.0] * size))
    assert origins(population[: 1 + n_immigrants]) == ["elite", *["immigrant"] * n_immigrants]
    rest = origins(population[1 + n_immigrants :])
    assert len(rest) == n_bred
    assert set(rest) <= {"cross", "mutant", "hyper"}


def test_offspring_are_crosses_mutants_and_hypermutants(make_ranked) -> None:
    size = 4003
    counts = Counter(origins(bred("normal", make_ranked([2.0] * size))))
    n_bred = size - 3
    for origin, share in (("cross", 0.4), ("mutant", 0.4), ("hyper", 0.2)):
        assert counts[origin] / n_bred == pytest.approx(share, abs=0.032)  # four deviations


def test_a_cross_has_two_parents_and_a_mutant_one(make_ranked) -> None:
    population = bred("normal", make_ranked([2.0 + i / 100 for i in range(60)]))
    n_parents = {"elite": 1, "immigrant": 0, "cross": 2, "mutant": 1, "hyper": 1}
    assert set(origins(population)) == set(n_parents)
    for organism in population:
        assert len(organism.parents) == n_parents[organism.origin]


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
def test_a_championship_is_evolve_rusts_at_our_size(make_ranked, size, expected) -> None:
    population = bred("championship", make_ranked([2.0] * size))
    assert origins(population) == expected.split()


def test_the_best_three_champions_are_crossed_in_turn(make_ranked) -> None:
    ranked = make_ranked([2.4, 2.1, 2.3, 2.2, 2.5, 2.6, 2.7, 2.8])
    population = bred("championship", ranked)
    pairs = [organism.parents for organism in population if organism.origin == "champion"]
    assert pairs == [("g1-2", "g1-4"), ("g1-4", "g1-3"), ("g1-3", "g1-2")]


def test_a_championship_keeps_the_shape_unless_it_grows(make_ranked) -> None:
    ranked = make_ranked([2.0] * 8)
    shape = ranked[0].genome.species
    for organism in bred("championship", ranked):
        assert (organism.genome.species == shape) == (organism.origin not in ("grown", "immigrant"))


@given(SIZES, SEEDS)
def test_a_cataclysm_keeps_the_best_and_adds_random_genomes(make_ranked, size, seed) -> None:
    population = bred("cataclysm", make_ranked([2.0] * size), seed)
    assert origins(population) == ["re-eval", *["cataclysm"] * (size - 1)]
    for organism in population[1:]:
        assert organism.genome.n_emb in WIDE["n_emb"]
        assert organism.genome.steps in WIDE["steps"]


@pytest.mark.parametrize(("stage", "origin"), [("normal", "immigrant"), ("cataclysm", "cataclysm")])
def test_random_genomes_avoid_blacklisted_species(make_ranked, stage, origin) -> None:
    ranked = make_ranked([2.0] * 20)
    blacklisted = {o.genome.species for o in bred(stage, ranked) if o.origin == origin}
    population = bred(stage, ranked, blacklisted=blacklisted)
    assert all(o.genome.species not in blacklisted for o in population if o.origin == origin)


def test_any_species_is_accepted_after_twenty_tries(make_ranked) -> None:
    class Everything:
        n_asked = 0

        def __contains__(self, species: str) -> bool:
            self.n_asked += 1
            return True

    everything = Everything()
    population = bred("cataclysm", make_ranked([2.0, 2.1]), seed=7, blacklisted=everything)
    assert everything.n_asked == MAX_TRIES == 20
    rng = Random(7)
    drawn = [random_genome(rng, WIDE) for _ in range(21)]
    assert population[1].genome == drawn[-1]


def test_immigrants_are_drawn_from_the_normal_space(make_ranked) -> None:
    immigrants = [o.genome for o in bred("normal", make_ranked([None] * 100))]
    assert {genome.n_emb for genome in immigrants} == set(NORMAL["n_emb"])
    assert {genome.n_layer for genome in immigrants} == set(NORMAL["n_layer"])
