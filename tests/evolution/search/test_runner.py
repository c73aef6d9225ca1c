from collections.abc import Sequence

from microgpt_evolution.search.log import Log
from microgpt_evolution.search.runner import SearchEvent, SearchRunner
from microgpt_evolution.search.search_settings import SearchSettings
from microgpt_evolution.trial import Evaluation, Trial

SETTINGS = SearchSettings(
    objective="loss", input="x", data_sha256="", vocab_size=27, population=3, generations=2,
    seed=1, fitness="held-out",
)  # fmt: skip


class FakeStudy:
    """Gives each trial a fitness that depends on its seed; none is on record."""

    settings = SETTINGS

    def __init__(self, statuses: Sequence[str]) -> None:
        self._statuses = iter(statuses)

    def known(self, trial: Trial) -> None:
        return None

    def measure(self, trials, objective, workers, on_measured, should_stop) -> list[Evaluation]:
        statuses = [next(self._statuses, "ok") for _ in trials]
        found = [
            Evaluation(status, 2 + trial.seed % 100 / 100)
            for status, trial in zip(statuses, trials, strict=True)
        ]
        for i, evaluation in enumerate(found):
            on_measured(i, evaluation)
        return found


def follow(statuses: Sequence[str] = ()) -> list[SearchEvent]:
    """Return the events of a search of two generations of three."""
    events: list[SearchEvent] = []
    study = FakeStudy(statuses)
    log = Log(lambda line: None, SETTINGS)
    assert SearchRunner(study, None, None, None, log, events.append).run()
    return events


def test_the_reported_remaining_work_ends_at_zero() -> None:
    left = [event.n_left for event in follow()]
    assert left == [14, 13, 14, 13, 12, 11, 11, 10, 9, 9, 8, 7, 6, 5, 4, 3, 3, 2, 1, 0]
    assert [event.n_measured for event in follow()][-1] == 15 == left[0] + 1


def test_each_evaluation_of_a_generation_names_its_organism() -> None:
    events = follow(["ok", "crashed"])  # the primordial genome, the first organism
    ids = [event.organism.id for event in events if event.organism]
    assert ids == ["g1-1", "g1-2", "g1-3", "g2-2", "g2-3"]
    first = next(event.organism for event in events if event.organism)
    assert not first.has_finished
