"""Each strategy needs nothing but what `ask` returns and `tell` is given."""

from microgpt_evolution.budgeted.genome import EVALUATIONS
from microgpt_evolution.budgeted.search import SurrogateSearch
from microgpt_evolution.objectives.scores import HEADS, NameScores
from microgpt_evolution.organism import Evaluation
from microgpt_evolution.search.aesthetic_search import AestheticPopulation
from microgpt_evolution.search.hydra_search import Hydra
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.space import Space
from microgpt_evolution.sweep.config import SweepConfig, grid


def evaluate(organism) -> Evaluation:
    """Take the width for the quality."""
    width = organism.genome.n_emb
    scores = NameScores(dict.fromkeys(("judge", *HEADS), width), distinct=1.0, novel=1.0)
    return Evaluation("ok", -width, scores=scores)


def test_a_loss_search_needs_only_ask_and_tell() -> None:
    search = LossSearch(population=8, fitness="held-out", seed=42)
    for _ in range(10):
        search.tell([evaluate(organism) for organism in search.ask()])
    assert search.finalists()[0].genome.n_emb > 24


def test_an_aesthetic_search_needs_only_ask_and_tell() -> None:
    search = AestheticPopulation(measure="judge", size=12, seed=42)
    for _ in range(5):
        search.tell([evaluate(organism) for organism in search.ask()])
    assert search.finalists()[0].genome.n_emb >= 32


def test_a_hydra_search_needs_only_ask_and_tell() -> None:
    search = Hydra(size=4, seed=42)
    for _ in range(6):
        search.tell([evaluate(organism) for organism in search.ask()])
    assert search.met.keys() == HEADS.keys()


def test_a_budgeted_search_needs_only_ask_and_tell(small) -> None:
    space = Space(values={"lr": (0.001, 0.003, 0.01, 0.03)})
    search = SurrogateSearch(space, [small], budget=50.0, cost=lambda genome, n: n, seed=42)
    while organisms := search.ask():
        search.tell([[organism.genome.lr] * organism.n_next for organism in organisms])
    best = min(search.organisms.values(), key=lambda organism: organism.loss)
    assert (best.genome.lr, len(best.losses)) == (0.001, EVALUATIONS)


def test_a_grid_is_a_list_of_configurations() -> None:
    configs, impossible = grid({"n_embd": [8, 16], "n_head": [2, 3]})
    assert configs == [SweepConfig(n_embd=8, n_head=2), SweepConfig(n_embd=16, n_head=2)]
    assert len(impossible) == 2
