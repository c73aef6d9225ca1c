"""Evolve models whose names a judge of your own likes.

`microgpt evolve --objective aesthetic` has a judge of its own; here it is a function of yours,
`beauty`, which `evolve` minimises for the names that a model makes up. Prints the best genome to
standard error, then the ten names that the judge likes most, one per line, within seconds.
`microgpt judge` says what the other judge thinks of them.

    python examples/own_judge.py | microgpt judge
"""

import sys

from microgpt import InferenceGpt, load_text, train
from microgpt.data.documents import bundled
from microgpt_evolution import evolve

N_NAMES = 200
DOCS = load_text(bundled("names.txt"))


def beauty(name: str) -> float:
    """Score a name: as few different letters as possible, and at least five letters."""
    return len(name) / len(set(name)) if len(name) >= 5 else 0.0


def new_names(model: InferenceGpt) -> set[str]:
    """Return the names that a model makes up; repeats do not count."""
    return set(model.generate(N_NAMES, temperature=1, seed=1)) - set(DOCS)


def ugliness(model: InferenceGpt) -> float:
    """Return what the search minimises."""
    return -sum(map(beauty, new_names(model))) / N_NAMES


def main() -> None:
    found = evolve(DOCS, objective=ugliness, generations=5, seed=1)
    print(f"{-found.value:.3f} {found.genome.describe()}", file=sys.stderr)
    genome = found.genome
    model = InferenceGpt(train(DOCS, model=genome.model(), config=genome.train_config(seed=1)))
    print("\n".join(sorted(new_names(model), key=lambda name: (beauty(name), name))[:-11:-1]))


if __name__ == "__main__":
    main()
