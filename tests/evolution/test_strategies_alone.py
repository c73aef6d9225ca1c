"""Each strategy needs nothing but what `ask` returns and `tell` is given."""

from microgpt_evolution.objectives.scores import HEADS, NameScores
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.aesthetic_search import AestheticPopulation
from microgpt_evolution.search.loss_search import LossSearch


def evaluate(organism) -> Evaluation:
    """Take the width for the quality."""
    width = organism.genome.n_emb
    scores = NameScores(dict.fromkeys(("judge", *HEADS), width), distinct=1.0, novel=1.0)
    return Evaluation("ok", -width, scores=scores)


def test_a_loss_search_runs_in_five_lines() -> None:
    search = LossSearch(population=8, fitness="held-out", seed=42)
    for _ in range(10):
        search.tell([evaluate(organism) for organism in search.ask()])
    assert search.finalists()[0].genome.n_emb > 24


def test_an_aesthetic_search_runs_in_five_lines() -> None:
    search = AestheticPopulation(measure="judge", size=12, seed=42)
    for _ in range(5):
        search.tell([evaluate(organism) for organism in search.ask()])
    assert search.finalists()[0].genome.n_emb >= 32
