from microgpt_evolution.loss_search import LossSearch
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search_event import Follower, SearchEvent


def follow(fitnesses: list[list[float]], generations: int) -> list[SearchEvent]:
    """Return the events of a search whose organisms come to these fitnesses, in each generation."""
    events: list[SearchEvent] = []
    search = LossSearch(population=3, fitness="held-out", seed=1)
    follower = Follower(search, generations, events.append)
    for values in fitnesses:
        todo = search.to_evaluate()
        follower.begin("generation", len(todo), 0)
        for _ in todo:
            follower.evaluated()
        search.tell([Evaluation("ok", value, value) for value in values])
        search.breed()
    follower.begin("again", 6, 2)
    return events


def test_each_evaluation_and_each_stage_is_told() -> None:
    events = follow([[2.5, 2.4, 2.6], [2.45, 2.3]], generations=2)
    assert [(e.stage, e.generation, e.n_done, e.n_all) for e in events] == [
        *[("generation", 1, n, 3) for n in range(4)],
        *[("generation", 2, n, 2) for n in range(3)],
        ("again", 3, 2, 6),
    ]


def test_what_is_left_falls_to_nothing() -> None:
    events = follow([[2.5, 2.4, 2.6], [2.45, 2.3]], generations=2)
    left = [event.n_all - event.n_done + event.n_later for event in events]
    assert left == [11, 10, 9, 8, 8, 7, 6, 4]


def test_the_best_so_far_is_known_from_the_records_too() -> None:
    events = follow([[2.5, 2.4, 2.6], [2.45, 2.3]], generations=2)
    best = [event.best and event.best.fitness for event in events]
    assert best == [None, None, None, None, 2.4, 2.4, 2.4, 2.3]


def test_an_organism_that_did_not_finish_is_no_champion(make_organism) -> None:
    events: list[SearchEvent] = []
    search = LossSearch(population=3, fitness="held-out", seed=1)
    follower = Follower(search, 1, events.append)
    follower.begin("generation", 3, 0)
    for organism in (make_organism(status="crashed"), make_organism(2.5), make_organism(2.6)):
        follower.evaluated(organism)
    assert [event.best and event.best.fitness for event in events] == [None, None, 2.5, 2.5]
