"""Train a bot on questions and answers: `python examples/faq.py examples/faq.txt`.

Each block of the file lists the wordings of a question, which are lines that end in "?", and then
the answer. A blank line ends a block. The bot replies to each line of standard input; it answers
"I don't know." to a question that is not in the file. `--save DIR` saves the model.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from microgpt import InferenceGpt, Message, MicrogptError, ReadOptions, load_documents, save, train


def questions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each wording of a question with its answer; an answer can also end in "?"."""
    text = "\n".join(map(str.strip, text.split("\n")))
    for block in re.finditer(r"(?:.+\n?)+", text):
        if not (parts := re.fullmatch(r"((?:.+\?\n)+)((?:.*[^?]\n)*.+)\n?", block[0])):
            number = text.count("\n", 0, block.start()) + 1
            raise MicrogptError(f"line {number}: write questions that end in ?, then an answer")
        yield from ((wording, parts[2].replace("\n", " ")) for wording in parts[1].splitlines())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--save", metavar="DIR", type=Path)
    args = parser.parse_args()
    if args.save and args.save.exists():
        parser.error(f"{args.save} exists; choose another directory")
    try:
        known = list(questions(load_documents(args.file, ReadOptions("stream"))))
        result = train([(Message("user", q), Message("assistant", a)) for q, a in known])
        gpt = InferenceGpt(result)
        right = sum(gpt.chat(question).content == answer for question, answer in known)
        print(f"{right} of {len(known)} questions learned", flush=True)
        if args.save:
            save(result, args.save)
        for question in filter(None, map(str.strip, sys.stdin)):
            print(gpt.chat(question).content, flush=True)
    except MicrogptError as error:
        sys.exit(f"error: {error}")
