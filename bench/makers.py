"""Compare models trained for a minute on each of six texts with Markov chains and n-grams.

    uv run --with markovify==0.9.4 python bench/makers.py FOLDER > bench/results/makers.txt

FOLDER contains the files in FILES; docs/measurements/quality.md says where they come from. Losses
are in nats per character of the test set, which is a tenth of the documents. Takes ten minutes.
"""

import random
import re
import sys
from collections.abc import Sequence
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import command

from microgpt import InferenceGpt, Message, ReadOptions, hold_out, load, load_documents
from microgpt.data.folding import char_tokenizer
from microgpt_cli.baselines import counted, losses_of, sampled
from microgpt_cli.samples import usual_length, usual_temperature

FILES = "descriptions.txt", "poems.txt", "tunes.abc", "sequences.fa", "lines.log", "chat.jsonl"
MINUTES = 1.0
N_SAMPLES, N_SHOWN, MOST = 100, 2, 400  # generated samples, printed samples, characters per sample
ORDERS = range(3, 9)  # orders of the n-gram models; the lowest loss is printed
N_COUNTED = 100_000  # maximum number of predictions over which an n-gram loss is measured


def main() -> None:
    for path in (Path(sys.argv[1], name) for name in FILES):
        is_chat = path.suffix == ".jsonl"
        docs = load_documents(path, ReadOptions(chat=is_chat))
        sets = hold_out(docs, {"val_fraction": 0.1, "test_fraction": 0.1})
        words = ("--data", path, "--minutes", MINUTES, *["--chat"] * is_chat)
        shares = ("--val-fraction", 0.1, "--test-fraction", 0.1)
        with TemporaryDirectory() as folder:
            command("train", *words, *shares, "--model", f"{folder}/model")
            model = InferenceGpt(saved := load(f"{folder}/model"))
        tokenizer = char_tokenizer(sets.docs)
        loss = model.evaluate(sets.test).bits_per_character * log(2)
        counts = counted(sets.train, tokenizer, "lines")
        test = sampled(sets.test, tokenizer, "lines", N_COUNTED)
        best, n = min((float(losses_of(counts(n), test).mean()), n) for n in ORDERS)
        read = [doc if isinstance(doc, str) else doc[-1].content for doc in sets.train]
        print(f"## {path.name}: {len(docs):,} documents, {sum(map(len, read)):,} characters read\n")
        print(f"microgpt {loss:.3f}, n-grams {best:.3f} (n = {n}), ", end="")
        print(f"a uniform guess {log(tokenizer.vocab_size):.3f}")
        if is_chat:
            asked = [doc[0].content for doc in sets.test[:N_SAMPLES]]
            ours = [model.chat([Message("user", text)]).content for text in asked]
        else:
            temperature, length = usual_temperature(saved), usual_length(saved)
            ours = model.generate(N_SAMPLES, temperature=temperature, max_tokens=length)
        for name, samples in {"microgpt": ours, "markovify": markov_samples(read)}.items():
            n_copied = len([text for text in samples if text in {*read}])
            print(f"\n{name}, {n_copied} of {len(samples)} read in training:\n")
            print(*(text[:MOST] for text in samples[:N_SHOWN]), sep="\n---\n", end="\n\n")


def markov_samples(docs: Sequence[str]) -> list[str]:
    """Return samples of a Markov chain of order 2 over words, or of order 6 over characters."""
    import markovify

    has_words = any(" " in doc for doc in docs)
    split = re.compile(r"\S+\s*").findall if has_words else list

    class Chain(markovify.Text):
        sentence_split = staticmethod(lambda text: docs)
        word_split = staticmethod(split)
        word_join = staticmethod("".join)

    random.seed(42)
    chain = Chain("", state_size=2 if has_words else 6, well_formed=False)
    return [chain.make_sentence(test_output=False) for _ in range(N_SAMPLES)]


if __name__ == "__main__":
    main()
