"""Make up names that resemble the names in a list, for example for the characters of a game.

The list is a file with one name per line, such as names of elves; the default is first names.
The script prints names that are not in the list, one per line. The same seed gives the same names,
so a game needs to save only the seed of its world. Training takes a second.

    python examples/game_names.py -n 5 --seed 7
    python examples/game_names.py elves.txt --start Gal --longest 8
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from microgpt import InferenceGpt, MicrogptError, ModelConfig, TrainConfig, load_text, train
from microgpt.data.documents import bundled

TRIES = 10_000  # maximum number of names to generate; a short list yields few new ones


def new_names(known: list[str], *, seed: int, start: str, longest: int) -> Iterator[str]:
    """Yield names not in `known` that begin with `start` and have at most `longest` letters."""
    steps = min(2000, 100 + 10 * len(known))  # with more, the model memorizes a short list
    model, config = ModelConfig(block_size=longest + 1), TrainConfig(steps, batch_size=4, seed=seed)
    gpt = InferenceGpt(train(known, model=model, config=config))
    seen = set(known)
    for name in gpt.generate(TRIES, prompt=start, temperature=0.8, seed=seed):
        if name not in seen and len(name) <= longest:
            seen.add(name)
            yield name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="?", type=Path, default=bundled("names.txt"))
    parser.add_argument("-n", type=int, default=10, help="number of names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", default="", help="first letters")
    parser.add_argument("--longest", type=int, default=12, help="maximum length")
    args = parser.parse_args()
    names = new_names(load_text(args.names), seed=args.seed, start=args.start, longest=args.longest)
    for name in islice(names, args.n):
        print(name)


if __name__ == "__main__":
    try:
        main()
    except MicrogptError as error:
        sys.exit(f"error: {error}")
