"""A search from its first trial to its last, without training."""

from collections.abc import Iterator

from microgpt_evolution.strategies.evolution import Evolution
from microgpt_evolution.strategies.hydra import Hydra
from microgpt_evolution.strategies.loss import LossSearch
from microgpt_evolution.trial import Evaluation, Trial


def trials_of(search: Evolution, status: str = "ok") -> Iterator[Trial]:
    """Yield the trials of a search; the fitness of each depends on its seed."""
    while search.stage != "ended":
        trials = search.ask()
        yield from trials
        search.tell([Evaluation(status, 2 + trial.seed % 100 / 100) for trial in trials])


def search(status: str = "ok") -> tuple[Evolution, list[Trial]]:
    breeding = LossSearch(size=3, fitness="held-out", seed=1)
    found = Evolution(breeding, 2, seed=1, has_target=True)
    return found, [*trials_of(found, status)]


def test_a_search_asks_for_generations_finalists_and_the_winner() -> None:
    found, trials = search()
    assert [trial.id for trial in trials[:6]] == ["g0-0", "g1-1", "g1-2", "g1-3", "g2-2", "g2-3"]
    retests, fresh = trials[6:-3], trials[-3:]
    assert len(retests) == 6
    assert {trial.origin for trial in retests} == {"confirm"}
    winner = found.winner.organism
    assert [trial.id for trial in fresh] == [f"{winner.id}-fresh{i}" for i in (1, 2, 3)]
    assert {trial.genome for trial in fresh} == {winner.genome}
    assert len({trial.seed for trial in trials}) == len(trials)
    assert len(found.fresh) == 3


def test_the_estimated_number_of_trials_ends_at_zero() -> None:
    breeding = LossSearch(size=3, fitness="held-out", seed=1)
    found, left = Evolution(breeding, 2, seed=1, has_target=True), []
    while found.stage != "ended":
        trials = found.ask()
        left.append(len(trials) + found.count_later())
        found.tell([Evaluation("ok", 2 + trial.seed % 100 / 100) for trial in trials])
    assert left == [14, 14, 11, 9, 3]


def test_a_search_in_which_all_trials_fail_has_no_winner() -> None:
    found, trials = search("crashed")
    assert found.winner is None
    assert {trial.origin for trial in trials}.isdisjoint({"confirm", "fresh"})


def test_a_hydra_search_retests_the_champions_of_all_heads() -> None:
    search = Evolution(Hydra(size=3, seed=1), 3, seed=1, has_target=False)
    scores = {"weaver": 1.0, "mirror": 1.0, "spark": 1.0, "judge": 1.0}
    while search.stage != "ended":
        scored = [Scored(scores) for _ in search.ask()]
        search.tell([Evaluation("ok", scores=each) for each in scored])
    assert search.winner in search.finalists


class Scored:
    """Scores of names."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores
