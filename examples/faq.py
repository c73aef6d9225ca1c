"""Train a tiny assistant on the questions and answers of a file, and ask it.

The file has a question per line that ends in "?", in as many wordings as you like, and below them
the line of their answer, as examples/faq.txt does. The assistant also learns the questions with
typing errors and after a greeting, in some seconds. Prints how many, then an answer per line of
standard input. With `--save DIR`, `microgpt chat --model DIR` and `microgpt serve DIR` have it too.

    python examples/faq.py examples/faq.txt
"""

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, save, train

GREETINGS = ("", "", "hello, ", "hi! ", "please tell me: ", "sorry, ")


def questions(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each wording of a question with its answer."""
    wordings: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        if line.endswith("?"):
            wordings.append(line)
        else:
            yield from ((wording, line) for wording in wordings)
            wordings = []


def reworded(question: str, rng: random.Random) -> str:
    """Return a question as somebody in a hurry would type it."""
    question = question.lower()
    i = rng.randrange(len(question))
    missing = question[:i] + question[i + 1 :]  # sometimes the question mark
    return rng.choice(GREETINGS) + rng.choice((question, missing))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--save", type=Path, metavar="DIR")
    args = parser.parse_args()
    rng, known = random.Random(1), list(questions(args.file.read_text().splitlines()))
    asked = [(reworded(question, rng), answer) for question, answer in known * 50]
    conversations = [(Message("user", q), Message("assistant", a)) for q, a in asked]
    model = ModelConfig(n_embd=48, n_layer=2, block_size=128, positions="rotary")
    result = train(conversations, model=model, config=TrainConfig(600, batch_size=16))
    print(f"{len(known)} questions learnt, last loss {result.losses[-1]:.3f}", flush=True)
    if args.save:
        save(result, args.save)
    for line in sys.stdin:
        print(InferenceGpt(result).chat(line.strip().lower()).content, flush=True)


if __name__ == "__main__":
    main()
