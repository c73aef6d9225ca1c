"""Evolve models that generate names to which a judge of your own gives high scores.

`microgpt evolve --objective aesthetic` uses a built-in judge; here, you write the judge: `beauty`.
The script prints the best genome to standard error, then the ten names with the highest scores, one
per line. `microgpt judge` prints the built-in judge's scores of these names.

    python examples/own_judge.py | microgpt judge
"""

import sys

from microgpt import InferenceGpt, bundled, load_text, train
from microgpt_evolution.strategies.organism import Organism
from microgpt_evolution.strategies.population import LossPopulation
from microgpt_evolution.trial import Evaluation

N_NAMES = 200
DOCS = load_text(bundled("names.txt"))


def beauty(name: str) -> float:
    """Return the score of a name: its length per distinct letter, or 0 below five letters."""
    return len(name) / len(set(name)) if len(name) >= 5 else 0.0


def new_names(organism: Organism) -> set[str]:
    """Return the distinct names that a trained organism generates and that are not in DOCS."""
    genome = organism.genome
    result = train(DOCS, model=genome.model(), config=genome.train_config(organism.seed))
    return set(InferenceGpt(result).generate(N_NAMES, temperature=1, seed=1)) - set(DOCS)


def main() -> None:
    search = LossPopulation(size=8, fitness="held-out", seed=1)
    for _ in range(5):  # generations; the search minimises the negative mean beauty
        scores = [sum(map(beauty, new_names(each))) / N_NAMES for each in search.ask()]
        search.tell([Evaluation("ok", -score) for score in scores])
    best = search.finalists()[0]
    print(f"{-best.fitness:.3f} {best.genome.describe()}", file=sys.stderr)
    print("\n".join(sorted(new_names(best), key=lambda name: (beauty(name), name))[:-11:-1]))


if __name__ == "__main__":
    main()
