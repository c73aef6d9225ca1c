from dataclasses import asdict
from itertools import chain
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.fitness import HEADS
from microgpt_evolution.strategies.hydra import Hydra
from microgpt_evolution.strategies.population import Finalist, Organism
from microgpt_evolution.trial import Evaluation

SIZES = st.integers(1, 10)
SEEDS = st.integers(0, 2**32)


def organisms_of(hydra: Hydra) -> list[Organism]:
    """Return the organisms of all heads."""
    return [o for population in hydra.populations.values() for o in population.organisms]


def cycle(hydra: Hydra, rng: Random, share_of_crashes: float = 0.0) -> list[int]:
    """Let the heads evolve apart for three generations; return the seeds of all trainings."""
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
def test_migration_keeps_the_size_and_best_two_of_each_head(size, seed, crashes) -> None:
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
def test_no_two_training_runs_share_a_seed(seed) -> None:
    hydra = Hydra(size=5, seed=seed)
    trained = []
    for _ in range(2):
        trained += cycle(hydra, Random(seed))
    assert len(trained) == len(set(trained)) > 5 * len(HEADS)


@given(SEEDS)
def test_a_child_mixes_the_genes_of_a_champion_and_a_guest(seed) -> None:
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


def test_each_head_receives_two_champions_and_their_offspring() -> None:
    hydra = Hydra(size=8, seed=1)
    cycle(hydra, Random(1))
    best = {name: organisms[0] for name, organisms in hydra.met.items()}
    for host, (first, second) in {
        "weaver": ("mirror", "spark"),  # learns symmetry first
        "mirror": ("spark", "weaver"),
        "spark": ("weaver", "mirror"),  # learns flow first
    }.items():
        organisms = hydra.populations[host].organisms
        assert [o.origin for o in organisms] == 4 * ["elite"] + 2 * ["migrant"] + 2 * ["cross"]
        assert [o.genome for o in organisms[4:6]] == [best[first].genome, best[second].genome]
        assert [o.parents for o in organisms[6:]] == [
            (best[host].id, best[first].id), (best[host].id, best[second].id),
        ]  # fmt: skip
    born = [o for o in organisms_of(hydra) if o.origin == "cross"]
    assert not {o.genome for o in born} <= {o.genome for o in best.values()}


def test_a_host_scores_a_guest_without_training_it_again() -> None:
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


def test_the_sum_of_ranks_gives_every_head_equal_weight() -> None:
    # Places: 1 + 3 + 3, 2 + 1 + 2, 3 + 2 + 1; the first would win by the sum of the scores.
    loud, even, late = (
        finalist(*each) for each in (("a", 99, 1, 1), ("bb", 0.9, 3, 2), ("ccc", 0.8, 2, 3))
    )
    assert Hydra(size=2, seed=1).choose([loud, even, late]) is even


def test_a_head_chooses_the_best_of_its_champions() -> None:
    hydra = Hydra(size=2, seed=1, head="mirror")
    loud, even, late = (
        finalist(*each) for each in (("a", 1, 99, 1), ("bb", 1, 3, 2), ("ccc", 1, 2, 3))
    )
    assert hydra.choose([loud, even, late]) is None  # nothing has met
    hydra.met = {"weaver": [loud.organism], "mirror": [late.organism, even.organism]}
    assert hydra.choose([loud, even, late]) is even
