"""A search from its first trial to its last, without training."""

from microgpt_evolution.objectives.judge import NameScores
from microgpt_evolution.strategies.evolution import Evolution
from microgpt_evolution.strategies.hydra import Hydra
from microgpt_evolution.strategies.loss import LossSearch
from microgpt_evolution.trial import Evaluation, Trial


def search(status: str = "ok") -> tuple[Evolution, list[Trial], list[int]]:
    """Return a search, its trials, and how many were left before each stage."""
    breeding = LossSearch(size=3, fitness="held-out", seed=1)
    found, trials, left = Evolution(breeding, 2, seed=1, has_target=True), [], []
    while found.stage != "ended":
        asked = found.ask()
        left.append(len(asked) + found.count_later())
        found.tell([Evaluation(status, 2 + trial.seed % 100 / 100) for trial in asked])
        trials += asked
    return found, trials, left


def test_a_search_asks_for_generations_finalists_and_the_winner() -> None:
    found, trials, left = search()
    assert left == [14, 14, 11, 9, 3]
    assert [trial.id for trial in trials[:6]] == ["g0-0", "g1-1", "g1-2", "g1-3", "g2-2", "g2-3"]
    retests, fresh = trials[6:-3], trials[-3:]
    assert len(retests) == 6
    assert {trial.origin for trial in retests} == {"confirm"}
    winner = found.winner.organism
    assert [trial.id for trial in fresh] == [f"{winner.id}-fresh{i}" for i in (1, 2, 3)]
    assert {trial.genome for trial in fresh} == {winner.genome}
    assert len({trial.seed for trial in trials}) == len(trials)
    assert len(found.fresh) == 3


def test_a_search_in_which_all_trials_fail_has_no_winner() -> None:
    found, trials, _ = search("crashed")
    assert found.winner is None
    assert {trial.origin for trial in trials}.isdisjoint({"confirm", "fresh"})


def test_a_hydra_search_retests_the_champions_of_all_heads() -> None:
    search = Evolution(Hydra(size=3, seed=1), 3, seed=1, has_target=False)
    scores = dict.fromkeys(("weaver", "mirror", "spark", "judge"), 1.0)
    found = Evaluation("ok", scores=NameScores(scores, distinct=1.0, novel=1.0))
    while search.stage != "ended":
        search.tell([found for _ in search.ask()])
    assert search.winner in search.finalists
