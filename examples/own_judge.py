"""Evolve models whose names a judge of your own likes.

`microgpt evolve --objective aesthetic` has a judge of its own; here it is a function of yours,
`beauty`. Each generation trains eight genomes on the names and scores what they make up. The two
best stay; the others are mutants of them. Prints the best genome of each generation to standard
error, then the ten names that the judge likes most, one per line, within seconds. `microgpt judge`
says what the other judge thinks of them.

    python examples/own_judge.py | microgpt judge
"""

import random
import sys
from dataclasses import replace

from microgpt import InferenceGpt, load_text, train
from microgpt.data.documents import bundled
from microgpt_evolution import Genome

POPULATION, GENERATIONS, N_NAMES = 8, 5, 200
FIRST = Genome(steps=300, lr=0.01)  # the rest is Karpathy's
GENES = {"n_embd": (8, 16, 24, 32), "n_layer": (1, 2, 3), "steps": (300, 600), "lr": (0.01, 0.03)}


def beauty(name: str) -> float:
    """Score a name: as few different letters as possible, and at least five letters."""
    return len(name) / len(set(name)) if len(name) >= 5 else 0.0


def judged(genome: Genome, docs: list[str], seed: int) -> tuple[float, list[str]]:
    """Train a genome and return the mean score of its names, and the names."""
    result = train(docs, model=genome.model(), config=genome.train_config(seed))
    names = InferenceGpt(result).generate(N_NAMES, temperature=1, seed=seed)
    return sum(map(beauty, set(names) - set(docs))) / N_NAMES, names  # repeats do not count


def main() -> None:
    rng, docs = random.Random(1), load_text(bundled("names.txt"))
    scores: dict[Genome, tuple[float, list[str]]] = {}
    parents = [FIRST]
    for generation in range(1, GENERATIONS + 1):
        children = set(parents)
        while len(children) < POPULATION:
            gene = rng.choice(list(GENES))
            children.add(replace(rng.choice(parents), **{gene: rng.choice(GENES[gene])}))
        for genome in sorted(children - scores.keys(), key=Genome.describe):
            scores[genome] = judged(genome, docs, seed=1)
        parents = sorted(scores, key=lambda genome: scores[genome][0])[:-3:-1]
        score, names = scores[parents[0]]
        print(f"{generation}: {score:.3f} {parents[0].describe()}", file=sys.stderr)
    print("\n".join(sorted(set(names) - set(docs), key=lambda n: (beauty(n), n))[:-11:-1]))


if __name__ == "__main__":
    main()
