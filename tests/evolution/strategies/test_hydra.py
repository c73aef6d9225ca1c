import math
from dataclasses import asdict, replace
from itertools import chain
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import GENES, PRIMORDIAL, Genome
from microgpt_evolution.objectives.aesthetic_judge import HEADS
from microgpt_evolution.strategies.hydra import (
    HEAD_COUNTS,
    MUTATED_WIDTHS,
    AestheticPopulation,
    Hydra,
    mutate,
    random_genome,
)
from microgpt_evolution.strategies.organism import Finalist, Organism
from microgpt_evolution.trial import Evaluation, training_seed

SIZES = st.integers(1, 10)
SEEDS = st.integers(0, 2**32)


def organisms_of(hydra: Hydra) -> list[Organism]:
    """Return the organisms of all heads of a hydra search."""
    return [o for population in hydra.populations.values() for o in population.organisms]


def cycle(hydra: Hydra, rng: Random, share_of_crashes: float = 0.0) -> list[int]:
    """Evolve the heads separately for three generations; return the seeds of all training runs."""
    seeds = []
    for _ in range(3):
        evaluations = []
        for organism in hydra.ask():
            seeds.append(organism.seed)
            vote = {name: rng.random() for name in HEADS}
            lost = rng.random() < share_of_crashes
            evaluations.append(Evaluation("crashed") if lost else Evaluation("ok", scores=vote))
        hydra.tell(evaluations)
    return seeds


@given(SIZES, SEEDS, st.sampled_from([0.0, 0.3, 1.0]))
def test_migration_keeps_the_size_and_champions_of_each_head(size, seed, crashes) -> None:
    rng = Random(seed)
    hydra = Hydra(size=size, seed=seed)
    for _ in range(3):
        cycle(hydra, rng, crashes)
        champions = hydra.met
        for name, population in hydra.populations.items():
            assert len(population.organisms) == size > 0
            kept = population.organisms[: len(champions[name])]
            assert [o.genome for o in kept] == [o.genome for o in champions[name]]
            assert all(o.evaluation for o in kept)
            guests = [o for o in population.organisms if o.origin == "migrant"]
            assert all(o.has_finished for o in guests)


@given(SEEDS)
def test_no_two_training_runs_of_a_hydra_search_share_a_seed(seed) -> None:
    hydra = Hydra(size=5, seed=seed)
    trained = []
    for _ in range(2):
        trained += cycle(hydra, Random(seed))
    assert len(trained) == len(set(trained)) > 5 * len(HEADS)


@given(SEEDS)
def test_crossing_champions_of_two_heads_takes_each_gene_from_one_of_them(seed) -> None:
    hydra = Hydra(size=8, seed=seed)
    cycle(hydra, Random(seed))
    ranked = [population.generations[-1] for population in hydra.populations.values()]
    before = {o.id: o.genome for o in chain(*ranked)}
    for organism in organisms_of(hydra):
        if organism.origin == "cross":
            own, guest = (asdict(before[parent]) for parent in organism.parents)
            genes = asdict(organism.genome)
            if own["n_embd"] % guest["n_head"] == guest["n_embd"] % own["n_head"] == 0:
                assert all(genes[name] in (own[name], guest[name]) for name in genes)


def test_each_hydra_head_receives_two_champions_and_their_offspring() -> None:
    hydra = Hydra(size=8, seed=1)
    cycle(hydra, Random(1))
    best = {name: organisms[0] for name, organisms in hydra.met.items()}
    for host, (first, second) in {
        "weaver": ("mirror", "spark"),  # receives mirror's champion, then spark's
        "mirror": ("spark", "weaver"),
        "spark": ("weaver", "mirror"),
    }.items():
        organisms = hydra.populations[host].organisms
        assert [o.origin for o in organisms] == 4 * ["elite"] + 2 * ["migrant"] + 2 * ["cross"]
        assert [o.genome for o in organisms[4:6]] == [best[first].genome, best[second].genome]
        assert [o.parents for o in organisms[6:]] == [
            (best[host].id, best[first].id), (best[host].id, best[second].id),
        ]  # fmt: skip
    born = [o for o in organisms_of(hydra) if o.origin == "cross"]
    assert not {o.genome for o in born} <= {o.genome for o in best.values()}


def test_a_hydra_head_scores_a_migrant_without_training_it_again() -> None:
    hydra = Hydra(size=8, seed=1)
    cycle(hydra, Random(1))
    guest = hydra.populations["weaver"].organisms[4]
    assert guest not in hydra.ask()
    cycle(hydra, Random(2))
    scores = guest.evaluation.scores
    assert guest.fitness == -scores["weaver"]
    hydra = Hydra(size=8, seed=1)
    cycle(hydra, Random(1))
    hydra.tell([Evaluation("crashed") for _ in hydra.ask()])
    seen = next(o for o in hydra.populations["weaver"].organisms if o.seed == guest.seed)
    assert seen.fitness == -scores["weaver"]


def finalist(name: str, *votes: float) -> Finalist:
    scores = dict(zip(HEADS, votes, strict=True))
    organism = Organism(PRIMORDIAL, len(name), f"g1-{len(name)}", "random")
    return Finalist(organism, (Evaluation("ok", scores=scores),))


def test_the_finalist_with_the_best_sum_of_ranks_wins_a_hydra_search() -> None:
    # The ranks add up to 7, 5 and 6. By the sum of scores, the first finalist would win.
    loud, even, late = (
        finalist(*each) for each in (("a", 99, 1, 1), ("bb", 0.9, 3, 2), ("ccc", 0.8, 2, 3))
    )
    assert Hydra(size=2, seed=1).choose([loud, even, late]) is even


def test_a_hydra_head_chooses_only_the_best_of_its_own_champions() -> None:
    hydra = Hydra(size=2, seed=1, head="mirror")
    loud, even, late = (
        finalist(*each) for each in (("a", 1, 99, 1), ("bb", 1, 3, 2), ("ccc", 1, 2, 3))
    )
    assert hydra.choose([loud, even, late]) is None  # no heads have exchanged champions yet
    hydra.met = {"weaver": [loud.organism], "mirror": [late.organism, even.organism]}
    assert hydra.choose([loud, even, late]) is even


RNGS = SEEDS.map(Random)


def differing(a: Genome, b: Genome) -> set[str]:
    return {gene for gene in GENES if getattr(a, gene) != getattr(b, gene)}


@given(RNGS, st.integers(0, 30))
def test_hydra_genomes_and_mutants_lie_in_the_search_space_of_evolve_rust(rng, n) -> None:
    genome = random_genome(rng)
    assert genome.n_embd in (16, 24, 32)
    assert genome.n_head in (2, 4)
    assert genome.n_layer in (1, 2, 3)
    assert 0.001 <= genome.lr <= 0.015
    assert (genome.block_size, genome.n_ff_exp, genome.steps) == (16, 4, 300)
    for _ in range(n):
        mutant = mutate(genome, rng)
        assert len(differing(genome, mutant)) <= 1
        assert mutant.n_embd in MUTATED_WIDTHS
        assert mutant.n_head in HEAD_COUNTS
        assert 1 <= mutant.n_layer <= 4
        assert 1e-4 <= mutant.lr <= 0.1
        assert (mutant.block_size, mutant.n_ff_exp, mutant.steps) == (16, 4, 300)
        genome = mutant


@given(RNGS, st.integers(1, 128))
def test_the_width_of_a_mutant_is_divisible_by_its_number_of_heads(rng, n_embd) -> None:
    mutant = mutate(replace(PRIMORDIAL, n_embd=n_embd, n_head=1), rng)
    assert mutant.n_embd % mutant.n_head == 0


def make(size: int, seed: int = 0, **options) -> AestheticPopulation:
    return AestheticPopulation(measure="judge", size=size, seed=42, rng=Random(seed), **options)


def said(score: float | None) -> Evaluation:
    """Return an evaluation with a score; None stands for a crash."""
    if score is None:
        return Evaluation("crashed")
    return Evaluation("ok", scores={"judge": score, "mirror": 0.0})


@given(SIZES, SEEDS)
def test_each_generation_keeps_its_size_and_the_two_best_organisms(size, seed) -> None:
    rng = Random(seed)
    population, best = make(size, seed), math.inf
    for generation in range(1, 6):
        assert [o.place[1] for o in population.organisms] == list(range(1, size + 1))
        assert {o.generation for o in population.organisms} == {generation}
        scores = (None if rng.random() < 0.2 else rng.uniform(-9, 7) for _ in population.ask())
        ranked = population.tell([said(score) for score in scores])
        assert ranked[0].fitness <= best
        best = ranked[0].fitness
        elites = [o for o in ranked[:2] if o.has_finished]
        population.ask()
        for elite, kept in zip(elites, population.organisms, strict=False):
            assert kept.origin == "elite"
            assert (kept.genome, kept.seed, kept.evaluation) == (
                elite.genome, elite.seed, elite.evaluation,
            )  # fmt: skip
        for born in population.organisms[len(elites) :]:
            assert born.origin == ("mutant" if elites else "random")
            assert set(born.parents) <= {elite.id for elite in elites}
            assert born.seed == training_seed(42, generation + 1, born.place[1])


def test_a_judge_score_of_zero_ranks_like_any_other() -> None:
    population = make(4)
    ranked = population.tell([said(-1.0), said(0.0), said(None), said(-100.0)])
    assert [-o.fitness for o in ranked] == [0.0, -1.0, -100.0, -math.inf]
    assert len(population.ask()) == 2  # unlike in evolve-rust, no elite that scored 0 is retrained
