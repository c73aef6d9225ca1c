import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_evolution.genome import GENES, LIMITS, PRIMORDIAL, Genome
from microgpt_evolution.strategies.loss_search import (
    NORMAL,
    WIDE,
    LossSearch,
    crossover,
    fine_tune,
    grow,
    loser_threshold,
    mutate,
    random_genome,
)
from microgpt_evolution.trial import Evaluation, training_seed

SIZES = st.integers(1, 20)
SEEDS = st.integers(0, 2**32)
STAGNATION = {"normal": 0, "championship": 2, "cataclysm": 4}
STAGES = st.sampled_from([*STAGNATION])
OBJECTIVES = st.sampled_from(["held-out", "last-doc"])
FITNESSES = st.lists(st.floats(1, 4) | st.just(math.nan) | st.none(), min_size=1, max_size=20)


def bred(stage, ranked, seed=0, blacklisted=()):
    """Return the generation that follows a ranked generation at a given stage of stagnation."""
    search = LossSearch(size=len(ranked), fitness="held-out", seed=42)
    search.organisms, search.generations, search.rng = ranked, [ranked], Random(seed)
    search.stagnation, search.failures = STAGNATION[stage], Counter(2 * [*blacklisted])
    search.ask()
    return search.organisms


def origins(population) -> list[str]:
    return [organism.origin for organism in population]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@given(seed=SEEDS)
def test_a_search_begins_with_random_genomes(size, seed) -> None:
    search = LossSearch(size=size, fitness="held-out", seed=seed)
    population = search.organisms
    assert origins(population) == ["random"] * size
    assert all(o.parents == () for o in population)
    for slot, organism in enumerate(population, start=1):  # no organism has been evaluated yet
        assert (organism.id, organism.evaluation) == (f"g1-{slot}", None)
        assert organism.seed == training_seed(seed, 1, slot)


@given(STAGES, FITNESSES, SEEDS)
def test_only_finished_organisms_are_parents(make_ranked, stage, fitnesses, seed) -> None:
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
    ("size", "n_immigrants", "n_bred"), [(1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 2, 1), (8, 2, 5)]
)
def test_a_generation_has_elites_and_offspring(make_ranked, size, n_immigrants, n_bred) -> None:
    population = bred("normal", make_ranked([2.0] * size))
    assert origins(population[: 1 + n_immigrants]) == ["elite", *["immigrant"] * n_immigrants]
    rest = origins(population[1 + n_immigrants :])
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
    search, kept = LossSearch(size=size, fitness=fitness, seed=seed), []
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
    search, told = LossSearch(size=1, fitness="last-doc", seed=1), []
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
def test_stagnation_leads_to_a_championship_and_then_to_a_cataclysm(bests, told) -> None:
    assert climb(*bests) == told


def failures(organisms) -> Counter[str]:
    """Return the number of failures that a search counts for each species of its organisms."""
    search = LossSearch(size=len(organisms), fitness="last-doc", seed=1)
    search.organisms = organisms
    search.tell([])
    return +search.failures


def test_a_loss_above_the_threshold_counts_as_a_failure_of_its_species(make_ranked) -> None:
    assert failures(make_ranked([2.3, 2.4], lr=0.1)) == {"16-4-1-16-4": 1}  # the threshold is 2.3
    assert failures(make_ranked([2.31, 2.9])) == {"16-4-1-16-4": 2}


def test_crashes_and_kept_elites_are_not_failures_of_a_species(make_ranked, make_organism) -> None:
    assert not failures(make_ranked([float("nan")]))
    assert not failures([make_organism(2.9, origin="elite")])
    assert failures([make_organism(2.9, origin="re-eval")]) == {"16-4-1-16-4": 1}


N_DRAWS = 3000  # the standard deviation of a fraction is then at most 0.009


@st.composite
def genomes(draw: st.DrawFn) -> Genome:
    genes = {gene: draw(st.integers(*LIMITS[gene])) for gene in GENES if gene != "lr"}
    shares = [n for n in range(1, 17) if genes["n_embd"] % n == 0]
    genes["n_head"] = draw(st.sampled_from(shares))
    return Genome(**genes, lr=draw(st.floats(*LIMITS["lr"])))


rngs = st.integers(0, 2**32).map(Random)
unary = st.sampled_from([mutate, fine_tune, grow])


def changes(old: Genome, new: Genome) -> set[str]:
    return {gene for gene in GENES if getattr(old, gene) != getattr(new, gene)}


@given(genomes(), genomes(), rngs, unary)
def test_every_evolution_operator_returns_a_valid_genome(a, b, rng, operator) -> None:
    for genome in (operator(a, rng), crossover(a, b, rng)):
        for gene, (least, most) in LIMITS.items():
            assert least <= getattr(genome, gene) <= most


@given(genomes(), rngs)
def test_a_mutation_changes_few_genes_and_keeps_each_in_its_range(genome, rng) -> None:
    mutant = mutate(genome, rng)
    changed = changes(genome, mutant)
    assert len(changed - {"n_head"}) <= 3  # n_head can change, too, to divide n_embd
    allowed = {
        "n_embd": (8, 12, 16, 20, 24, 32),
        "block_size": (8, 12, 16, 24),
        "n_layer": (1, 2, 3, 4),
        "n_head": (1, 2, 4, 8),
        "n_ff_exp": (1, 2, 3, 4),
        "steps": range(100, 2001),
    }
    for gene in changed - {"lr"}:
        assert getattr(mutant, gene) in allowed[gene]
    if "lr" in changed:
        assert 1e-3 <= mutant.lr <= 10**-1.3


@given(genomes(), genomes(), rngs)
def test_a_child_takes_each_gene_from_one_of_its_parents(a, b, rng) -> None:
    child = crossover(a, b, rng)
    for gene in set(GENES) - {"n_head"}:
        assert getattr(child, gene) in (getattr(a, gene), getattr(b, gene))
    if child.n_head not in (a.n_head, b.n_head):  # neither head count divides the width
        assert child.n_head == max(n for n in (1, 2, 4, 8) if child.n_embd % n == 0)


@given(genomes(), rngs)
def test_fine_tuning_changes_only_steps_and_learning_rate_within_bounds(genome, rng) -> None:
    tuned = fine_tune(genome, rng)
    assert tuned.species == genome.species
    if tuned.lr != genome.lr:
        assert 1e-4 <= tuned.lr <= 0.05
        assert tuned.lr in (1e-4, 0.05) or 0.7 <= tuned.lr / genome.lr <= 1.3
    if tuned.steps != genome.steps:
        assert 100 <= tuned.steps <= 3000
        assert tuned.steps in (100, 3000) or abs(tuned.steps - genome.steps) <= 200


@given(genomes(), rngs)
def test_growth_increases_at_most_one_setting_of_the_shape(genome, rng) -> None:
    grown = grow(genome, rng)
    changed = changes(genome, grown)
    assert len(changed) <= 1
    assert changed <= {"n_layer", "n_head", "block_size", "n_ff_exp"}
    for gene in changed:
        assert getattr(grown, gene) > getattr(genome, gene)


def test_growth_chooses_each_of_four_directions_equally_often() -> None:
    rng = Random(1)
    grown = Counter(grow(PRIMORDIAL, rng) for _ in range(N_DRAWS))
    species = {genome.species for genome in grown}
    assert species == {"16-4-2-16-4", "16-8-1-16-4", "16-4-1-24-4", "16-4-1-16-5"}
    assert all(n / N_DRAWS == pytest.approx(0.25, abs=0.04) for n in grown.values())


@pytest.mark.parametrize("space", [NORMAL, WIDE])
def test_all_values_of_a_gene_are_equally_frequent_in_random_genomes(space) -> None:
    rng = Random(1)
    drawn = [random_genome(rng, space) for _ in range(N_DRAWS)]
    for gene in ("n_embd", "block_size", "n_layer", "n_ff_exp", "steps"):
        values = space[gene]
        counts = Counter(getattr(genome, gene) for genome in drawn)
        assert set(counts) == set(values)
        for n in counts.values():
            assert n / N_DRAWS == pytest.approx(1 / len(values), abs=0.04)
    assert {genome.n_head for genome in drawn} <= {*space["n_head"]}
    low, high = space["lr"]
    places = [(math.log10(genome.lr) - low) / (high - low) for genome in drawn]
    assert 0 <= min(places) < max(places) <= 1
    assert sum(place < 0.5 for place in places) / N_DRAWS == pytest.approx(0.5, abs=0.04)


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
