"""Train a tiny assistant on the questions and answers of a file such as faq.txt, and ask it.

Lines that end in "?" are wordings of a question, the line below them is the answer. The assistant
learns conversations of up to three questions, with typing errors and greetings. Prints an answer
for each line of standard input. With `--save DIR`, `microgpt chat --model DIR` has it, too:

    python examples/faq.py examples/faq.txt
"""

import argparse
import random
import sys
from collections.abc import Iterator

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, save, train


def questions(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each wording of a question with its answer."""
    wordings = list[str]()
    for line in filter(None, map(str.strip, lines)):
        if line.endswith("?"):
            wordings.append(line)
        else:
            yield from ((wording, line) for wording in wordings)
            wordings = []


def reworded(question: str, rng: random.Random) -> str:
    """Return a question in small letters, sometimes with a letter missing."""
    text, i = question.lower(), rng.randrange(len(question))
    greeting = rng.choice(("", "", "hello, ", "hi! ", "please tell me: ", "sorry, "))
    return greeting + rng.choice((text, text[:i] + text[i + 1 :]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=argparse.FileType(encoding="utf-8"))
    parser.add_argument("--save", metavar="DIR")
    args = parser.parse_args()
    rng, known = random.Random(1), list(questions(args.file.readlines()))
    if not known:
        sys.exit(f"{args.file.name} has no line that ends in ? with an answer below it")
    conversations = []
    for _ in range(100 * len(known)):
        asked = rng.choices(known, k=rng.choice((1, 1, 2, 3)))
        texts = [text for question, answer in asked for text in (reworded(question, rng), answer)]
        conversations.append(list(map(Message, ("user", "assistant") * len(asked), texts)))
    model = ModelConfig(n_embd=48, n_layer=2, block_size=256, positions="rotary")
    result = train(conversations, model=model, config=TrainConfig(1000, batch_size=16))
    print(f"{len(known)} questions learned, last loss {result.losses[-1]:.3f}", flush=True)
    if args.save:
        save(result, args.save)
    for question in filter(None, map(str.strip, sys.stdin)):
        print(InferenceGpt(result).chat(question.lower()).content, flush=True)


if __name__ == "__main__":
    main()
