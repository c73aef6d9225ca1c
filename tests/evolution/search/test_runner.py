from collections.abc import Sequence
from pathlib import Path

from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.search.runner import SearchEvent, SearchRunner
from microgpt_evolution.search.search_records import SearchSettings

SETTINGS = SearchSettings(
    objective="loss", input="x", data_sha256="", vocab_size=27, population=3, generations=2,
    seed=1, fitness="held-out",
)  # fmt: skip


class FakeEvaluator:
    """Gives each trial a fitness that depends on its seed; some are on record."""

    class records:  # noqa: N801
        log = Path("x.log")

    def __init__(self, n_known: int = 0, statuses: Sequence[str] = ()) -> None:
        self._n_known, self._statuses = n_known, iter(statuses)

    def count_known(self, trials: Sequence[Trial]) -> int:
        return min(self._n_known, len(trials))

    def measure(self, trials, on_measured) -> list[Evaluation]:
        statuses = [next(self._statuses, "ok") for _ in trials]
        found = [
            Evaluation(status, 2 + trial.seed % 100 / 100)
            for status, trial in zip(statuses, trials, strict=True)
        ]
        for i in range(self.count_known(trials), len(trials)):
            on_measured(i, found[i])
        return found


def follow(n_known: int = 0, statuses: Sequence[str] = ()) -> list[SearchEvent]:
    """Return the events of a search of two generations of three."""
    events: list[SearchEvent] = []
    evaluator = FakeEvaluator(n_known, statuses)
    assert SearchRunner(SETTINGS, evaluator, on_event=events.append).run()
    return events


def test_each_evaluation_and_stage_is_reported() -> None:
    assert [(e.stage, e.generation, e.n_done, e.n_all) for e in follow()] == [
        *[("primordial", 1, n, 1) for n in range(2)],
        *[("generation", 1, n, 3) for n in range(4)],
        *[("generation", 2, n, 2) for n in range(3)],
        *[("again", 2, n, 6) for n in range(7)],
    ]


def test_the_reported_remaining_work_ends_at_zero() -> None:
    left = [event.n_all - event.n_done + event.n_later for event in follow()]
    assert left == [11, 10, 11, 10, 9, 8, 8, 7, 6, 6, 5, 4, 3, 2, 1, 0]


def test_the_champion_of_a_search_never_gets_worse() -> None:
    fitnesses = [event.champions["champion"].fitness for event in follow() if event.champions]
    assert fitnesses == sorted(fitnesses, reverse=True)
    assert len(fitnesses) == 3 + 3 + 7  # from the first organism on


def test_an_unfinished_organism_is_never_a_champion() -> None:
    events = follow(statuses=["ok", "crashed"])  # the primordial genome, the first organism
    first = [event for event in events if (event.stage, event.generation) == ("generation", 1)]
    assert [bool(event.champions) for event in first] == [False, False, True, True]
    assert first[0].n_species == len({organism.genome.species for organism in first[0].organisms})
