"""Train a tiny assistant on a list of questions: `python examples/faq.py examples/faq.txt`.

Each block of the file has the wordings of a question, lines that end in "?", and then its answer. A
blank line ends it. The assistant learns conversations of up to three questions, with typing errors
and greetings. Prints an answer for each line of standard input. `--save DIR` keeps the model.
"""

import argparse
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from microgpt import InferenceGpt, Message, MicrogptError, ModelConfig, TrainConfig, save, train
from microgpt.data.documents import load_stream


def questions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each wording of a question with its answer, whose last line may end in "?", too."""
    text = "\n".join(map(str.strip, text.split("\n")))
    for block in re.finditer(r"(?:.+\n?)+", text):
        if not (parts := re.fullmatch(r"((?:.+\?\n)+)((?:.*[^?]\n)*.+)\n?", block[0])):
            number = text.count("\n", 0, block.start()) + 1
            raise MicrogptError(f"line {number}: write questions that end in ?, then an answer")
        yield from ((wording, parts[2].replace("\n", " ")) for wording in parts[1].splitlines())


def conversation(known: list[tuple[str, str]], rng: random.Random) -> Iterator[Message]:
    """Yield questions and answers; some questions have small letters, or one letter less."""
    for question, answer in rng.choices(known, k=rng.choice((1, 1, 2, 3))):
        text, i = rng.choice((question, question.lower())), rng.randrange(len(question))
        greeting = rng.choice(("", "", "hello, ", "hi! ", "please tell me: ", "sorry, "))
        yield Message("user", greeting + rng.choice((text, text[:i] + text[i + 1 :])))
        yield Message("assistant", answer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--save", metavar="DIR", type=Path)
    args = parser.parse_args()
    if args.save and args.save.exists():
        parser.error(f"{args.save} exists; choose another directory")
    try:
        rng, known = random.Random(1), list(questions(load_stream(args.file)))
        conversations = [list(conversation(known, rng)) for _ in range(100 * len(known))]
        longest = max(len(question) + len(answer) for question, answer in known) + 20  # greeting
        model = ModelConfig(n_embd=48, n_layer=2, block_size=4 * longest, positions="rotary")
        result = train(conversations, model=model, config=TrainConfig(1000, batch_size=16))
        gpt = InferenceGpt(result)
        right = sum(gpt.chat(question).content == answer for question, answer in known)
        print(f"{right} of {len(known)} questions learned", flush=True)
        if args.save:
            save(result, args.save)
        for question in filter(None, map(str.strip, sys.stdin)):
            print(gpt.chat(question).content, flush=True)
    except MicrogptError as error:
        sys.exit(f"error: {error}")
