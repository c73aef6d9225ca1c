from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.search.archive import N_NOVELTIES, N_SIZES, Archive


def scored(organism, novelty: float):
    """Return an organism whose names have this novelty."""
    vote = NameScores({}, distinct=1.0, novel=novelty)
    return replace(organism, evaluation=replace(organism.evaluation, scores=vote))


SEEN = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(-7, 100)), st.integers(1, 10**9), st.floats(0, 1))
)


@given(SEEN)
def test_a_cell_keeps_its_best_organism(make_organism, seen) -> None:
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


def test_cells_are_half_octaves_of_size_and_fiftieths_of_novelty(make_organism) -> None:
    archive = Archive()
    for n_params, novelty in [(4192, 0.0), (5792, 0.81), (5793, 0.94), (8192, 1.0)]:
        archive.add(scored(make_organism(1.0), novelty), n_params=n_params)
    assert set(archive.cells) == {(0, 0), (1, 7), (2, 9)}
