from dataclasses import asdict, replace
from itertools import chain
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.organism import Evaluation
from microgpt_evolution.search.hydra_search import N_NOVELTIES, N_SIZES, Archive, Hydra

THREE = ("weaver", "mirror", "spark")
FOUR = (*THREE, "origin")
SIZES = st.integers(1, 10)
SEEDS = st.integers(0, 2**32)
HEADS = st.sampled_from([THREE, FOUR])
EXCHANGES = st.sampled_from(["migrate", "source"])


def cycle(hydra: Hydra, rng: Random, share_of_crashes: float = 0.0) -> list[int]:
    """Let the heads evolve apart for three generations, with scores out of thin air.

    Returns:
        The seeds of all trainings.
    """
    seeds = []
    for _ in range(3):
        evaluations = []
        for organism in hydra.ask():
            seeds.append(organism.seed)
            vote = NameScores({name: rng.random() for name in FOUR}, distinct=1.0, novel=1.0)
            lost = rng.random() < share_of_crashes
            evaluations.append(Evaluation("crashed") if lost else Evaluation("ok", scores=vote))
        hydra.tell(evaluations)
    return seeds


@given(HEADS, SIZES, SEEDS, EXCHANGES, st.sampled_from([0.0, 0.3, 1.0]))
def test_migration_keeps_the_size_and_best_two_of_each_head(
    names, size, seed, exchange, crashes
) -> None:
    rng = Random(seed)
    hydra = Hydra(names, size=size, seed=seed, exchange=exchange)
    for _ in range(3):
        cycle(hydra, rng, crashes)
        champions = hydra.met
        for name, population in hydra.heads.items():
            assert len(population.organisms) == size > 0
            kept = population.organisms[: len(champions[name])]
            assert [o.genome for o in kept] == [o.genome for o in champions[name]]
            assert all(o.evaluation for o in kept)
            guests = [o for o in population.organisms if o.origin == "migrant"]
            assert all(o.has_finished for o in guests)


@given(HEADS, SEEDS, EXCHANGES)
def test_no_two_training_runs_share_a_seed(names, seed, exchange) -> None:
    hydra = Hydra(names, size=5, seed=seed, exchange=exchange)
    trained = []
    for _ in range(2):
        trained += cycle(hydra, Random(seed))
    assert len(trained) == len(set(trained)) > 5 * len(names)


@given(HEADS, SEEDS)
def test_a_child_mixes_the_genes_of_a_champion_and_a_guest(names, seed) -> None:
    hydra = Hydra(names, size=8, seed=seed)
    cycle(hydra, Random(seed))
    ranked = [population.generations[-1] for population in hydra.heads.values()]
    before = {o.id: o.genome for o in chain(*ranked)}
    for organism in hydra.organisms:
        if organism.origin == "cross":
            own, guest = (asdict(before[parent]) for parent in organism.parents)
            genes = asdict(organism.genome)
            if own["n_emb"] % guest["n_head"] == guest["n_emb"] % own["n_head"] == 0:
                assert all(genes[name] in (own[name], guest[name]) for name in genes)


def test_each_head_begins_with_the_given_ancestor() -> None:
    hydra = Hydra(THREE, size=3, seed=1, ancestor=PRIMORDIAL)
    first = [o for o in hydra.ask() if o.origin == "genome"]
    assert [(o.id, o.genome) for o in first] == [(f"g1-{i}", PRIMORDIAL) for i in (1, 4, 7)]


def test_each_head_receives_two_champions_and_their_offspring() -> None:
    hydra = Hydra(THREE, size=8, seed=1)
    cycle(hydra, Random(1))
    best = {name: organisms[0] for name, organisms in hydra.met.items()}
    for host, (first, second) in {
        "weaver": ("mirror", "spark"),  # learns symmetry first
        "mirror": ("spark", "weaver"),
        "spark": ("weaver", "mirror"),  # learns flow first
    }.items():
        organisms = hydra.heads[host].organisms
        assert [o.origin for o in organisms] == 4 * ["elite"] + 2 * ["migrant"] + 2 * ["cross"]
        assert [o.genome for o in organisms[4:6]] == [best[first].genome, best[second].genome]
        assert [o.parents for o in organisms[6:]] == [
            (best[host].id, best[first].id), (best[host].id, best[second].id),
        ]  # fmt: skip
    born = [o for o in hydra.organisms if o.origin == "cross"]
    assert not {o.genome for o in born} <= {o.genome for o in best.values()}


def test_a_host_scores_a_guest_without_training_it_again() -> None:
    hydra = Hydra(THREE, size=8, seed=1)
    cycle(hydra, Random(1))
    guest = hydra.heads["weaver"].organisms[4]
    assert guest not in hydra.ask()
    cycle(hydra, Random(2))
    scores = guest.evaluation.scores.scores
    assert guest.fitness == -scores["mirror"]
    hydra = Hydra(THREE, size=8, seed=1)
    cycle(hydra, Random(1))
    hydra.tell([Evaluation("crashed") for _ in hydra.ask()])
    seen = next(o for o in hydra.heads["weaver"].organisms if o.seed == guest.seed)
    assert seen.fitness == -scores["weaver"]


def test_an_evolve_rust_exchange_gives_all_heads_equal_pools() -> None:
    hydra = Hydra(THREE, size=8, seed=1, exchange="source")
    cycle(hydra, Random(1))
    pool = {o.genome for organisms in hydra.met.values() for o in organisms}
    for population in hydra.heads.values():
        assert {o.genome for o in population.organisms} == pool


def test_evolve_rust_migration_keeps_the_elites_of_four_heads() -> None:
    hydra = Hydra(FOUR, size=8, seed=1, exchange="source")
    cycle(hydra, Random(1))
    champions = hydra.met
    firsts, seconds = ([each[i].genome for each in champions.values()] for i in range(2))
    for name, population in hydra.heads.items():
        genomes = [o.genome for o in population.organisms]
        assert genomes == [*(o.genome for o in champions[name]), *firsts, *seconds[:2]]


@pytest.mark.parametrize("exchange", ["migrate", "source"])
def test_the_same_seed_gives_the_same_search(exchange) -> None:
    def run() -> list:
        hydra = Hydra(THREE, size=6, seed=3, exchange=exchange)
        rng = Random(4)
        for _ in range(3):
            cycle(hydra, rng, 0.1)
        return [population.organisms for population in hydra.heads.values()]

    assert run() == run()


def scored(organism, novelty: float):
    """Return an organism whose names have this novelty."""
    vote = NameScores({}, distinct=1.0, novel=novelty)
    return replace(organism, evaluation=replace(organism.evaluation, scores=vote))


SEEN = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-7, 100)), st.integers(1, 10**9), st.floats(0, 1))
)


@given(SEEN)
def test_an_archive_cell_keeps_its_best_organism(make_organism, seen) -> None:
    archive = Archive()
    for slot, (fitness, n_params, novelty) in enumerate(seen):
        status = "crashed" if fitness is None else "ok"
        organism = make_organism(fitness, status=status, slot=slot)
        before = dict(archive.cells)
        archive.add(scored(organism, novelty), n_params=n_params)
        for cell, kept in before.items():
            assert archive.cells[cell].fitness <= kept.fitness
        assert all(row in range(N_SIZES) for row, _ in archive.cells)
        assert all(column in range(N_NOVELTIES) for _, column in archive.cells)
    finished = [fitness for fitness, _, _ in seen if fitness is not None]
    best = [organism.fitness for organism in archive.cells.values()]
    assert min(best, default=None) == min(finished, default=None)


def test_archive_cells_divide_organisms_by_size_and_novelty(make_organism) -> None:
    archive = Archive()
    for n_params, novelty in [(4192, 0.0), (5792, 0.81), (5793, 0.94), (8192, 1.0)]:
        archive.add(scored(make_organism(1.0), novelty), n_params=n_params)
    assert set(archive.cells) == {(0, 0), (1, 7), (2, 9)}
