from collections.abc import Sequence

import pytest

from microgpt_evolution.objectives.trial import Measured, Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.events import Follower, SearchEvent
from microgpt_evolution.search.loss import LossEvolution
from microgpt_evolution.search.runner import Audience


class FakeLaboratory:
    """Gives each trial a fitness that depends on its seed; some are on record."""

    run_seed = 1

    class records:  # noqa: N801
        log = "x.log"

    def __init__(self, n_known: int = 0) -> None:
        self._n_known = n_known

    def count_known(self, trials: Sequence[Trial]) -> int:
        return min(self._n_known, len(trials))

    def measure(self, trials, on_measured) -> list[Evaluation]:
        found = [Evaluation("ok", 2 + trial.seed % 100 / 100) for trial in trials]
        for i in range(self.count_known(trials), len(trials)):
            on_measured(i, Measured(found[i]), "")
        return found


def follow(n_known: int = 0) -> list[SearchEvent]:
    """Return the events of a search of two generations of three."""
    events: list[SearchEvent] = []
    audience = Audience(lambda line: None, lambda line: None, events.append)
    search = LossEvolution(
        FakeLaboratory(n_known), audience, fitness="held-out", population=3, generations=2
    )
    assert search.run()
    return events


def test_each_evaluation_and_each_stage_is_told() -> None:
    assert [(e.stage, e.generation, e.n_done, e.n_all) for e in follow()] == [
        *[("primordial", 1, n, 1) for n in range(2)],
        *[("generation", 1, n, 3) for n in range(4)],
        *[("generation", 2, n, 2) for n in range(3)],
        *[("again", 2, n, 6) for n in range(7)],
    ]


def test_what_is_on_record_counts_as_done() -> None:
    first = {}
    for event in follow(n_known=2):
        first.setdefault((event.stage, event.generation), event.n_done)
    assert list(first.values()) == [1, 2, 2, 2]


def test_what_is_left_falls_to_nothing() -> None:
    left = [event.n_all - event.n_done + event.n_later for event in follow()]
    assert left == [11, 10, 11, 10, 9, 8, 8, 7, 6, 6, 5, 4, 3, 2, 1, 0]


def test_the_champion_never_gets_worse() -> None:
    fitnesses = [event.champions["champion"].fitness for event in follow() if event.champions]
    assert fitnesses == sorted(fitnesses, reverse=True)
    assert len(fitnesses) == 3 + 3 + 7  # from the first organism on


@pytest.fixture
def beginning(make_organism) -> SearchEvent:
    return SearchEvent("generation", 1, [make_organism(), make_organism(n_emb=8)], n_later=0)


def test_an_organism_that_did_not_finish_is_no_champion(make_organism, beginning) -> None:
    events: list[SearchEvent] = []
    follower = Follower(events.append)
    follower.begin(beginning)
    for organism in (make_organism(status="crashed"), make_organism(2.5), make_organism(2.6)):
        follower.evaluated("champion", organism)
    best = [event.champions.get("champion") for event in events]
    assert [organism and organism.fitness for organism in best] == [None, None, 2.5, 2.5]
    assert events[0].n_species == 2


def test_each_population_has_its_champion(make_organism, beginning) -> None:
    events: list[SearchEvent] = []
    follower = Follower(events.append)
    follower.begin(beginning)
    follower.evaluated("Weaver", make_organism(-0.7))
    follower.evaluated("Mirror", make_organism(-0.3))
    assert {name: o.fitness for name, o in events[-1].champions.items()} == {
        "Weaver": -0.7, "Mirror": -0.3,
    }  # fmt: skip
