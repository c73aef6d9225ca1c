"""Evolve models whose names a judge of your own likes.

`microgpt evolve --objective aesthetic` has a judge of its own; here it is a function of yours,
`beauty`, and the loop of the search is yours, too. Prints the best genome to standard error, then
the ten names that the judge likes most, one per line, within seconds. `microgpt judge` says what
the other judge thinks of them.

    python examples/own_judge.py | microgpt judge
"""

import sys

from microgpt import InferenceGpt, load_text, train
from microgpt.data.documents import bundled
from microgpt_evolution.genome import Genome
from microgpt_evolution.strategies.loss import LossSearch
from microgpt_evolution.trial import Evaluation

N_NAMES = 200
DOCS = load_text(bundled("names.txt"))


def beauty(name: str) -> float:
    """Score a name: as few different letters as possible, and at least five letters."""
    return len(name) / len(set(name)) if len(name) >= 5 else 0.0


def new_names(model: InferenceGpt) -> set[str]:
    """Return the names that a model makes up; repeats do not count."""
    return set(model.generate(N_NAMES, temperature=1, seed=1)) - set(DOCS)


def trained(genome: Genome, seed: int) -> InferenceGpt:
    """Return a model with the settings of a genome."""
    return InferenceGpt(train(DOCS, model=genome.model(), config=genome.train_config(seed)))


def ugliness(model: InferenceGpt) -> float:
    """Return what the search minimises."""
    return -sum(map(beauty, new_names(model))) / N_NAMES


def main() -> None:
    search = LossSearch(size=8, fitness="held-out", seed=1)
    for _ in range(5):
        models = [trained(each.genome, each.seed) for each in search.ask()]
        search.tell([Evaluation("ok", ugliness(model)) for model in models])
    best = search.finalists()[0]
    print(f"{-best.fitness:.3f} {best.genome.describe()}", file=sys.stderr)
    model = trained(best.genome, best.seed)
    print("\n".join(sorted(new_names(model), key=lambda name: (beauty(name), name))[:-11:-1]))


if __name__ == "__main__":
    main()
