"""Do batches of documents of similar length train faster?

No: 1.01 times as fast, since nothing is padded (docs/decisions/0022-no-batches-by-length.md).

    uv run python bench/study.py batching [--rounds 5]

Trains the model of `--preset chat` on the bundled conversations in two orders: shuffled, and sorted
by length within blocks of 32 batches, which are then shuffled. Half a minute on one core.
"""

import random
import statistics
import time
from argparse import Namespace
from dataclasses import replace

from machine import machine

from microgpt.data.documents import bundled, load_conversations
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import CharTokenizer, Conversation
from microgpt.engine import mersenne
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.model_config import count_params
from microgpt.training.presets import PRESETS

DOCS = load_conversations(bundled("chat.jsonl"))
TOKENIZER = CharTokenizer.from_documents(DOCS)
MODEL = replace(PRESETS["chat"].model, vocab_size=TOKENIZER.vocab_size)
SIZE = PRESETS["chat"].config.batch_size
STEPS = len(DOCS) // SIZE
BLOCK = 32 * SIZE
OPTIONS = {"rounds": 5}


def measure(options: Namespace) -> None:
    """Train alternately in both orders and print the tokens per second of CPU time."""
    print(machine())
    ratios = []
    for i in range(options.rounds):
        speeds = [tokens_per_second(order) for order in (shuffled(i), by_length(i))]
        ratios.append(speeds[1] / speeds[0])
        print(f"shuffled {speeds[0]:,.0f} tokens/s, by length {speeds[1]:,.0f}", flush=True)
    print(f"by length: {statistics.median(ratios):.2f} × shuffled")


def shuffled(seed: int) -> list[Conversation]:
    """Return the conversations in the default training order."""
    return random.Random(seed).sample(DOCS, len(DOCS))


def by_length(seed: int) -> list[Conversation]:
    """Return the conversations in batches of similar length."""
    docs = shuffled(seed)
    blocks = [sorted(docs[i : i + BLOCK], key=TOKENIZER.count_tokens)
              for i in range(0, len(docs), BLOCK)]  # fmt: skip
    batches = [block[i : i + SIZE] for block in blocks for i in range(0, len(block), SIZE)]
    random.Random(seed).shuffle(batches)
    return [doc for batch in batches for doc in batch]


def tokens_per_second(docs: list[Conversation]) -> float:
    """Train for one epoch and return the speed in tokens per CPU second."""
    corpus = TokenDataset()
    for doc in docs:
        corpus.append(TOKENIZER.encode_document(doc), TOKENIZER.mask(doc, "assistant"))
    config = replace(PRESETS["chat"].config, steps=STEPS)
    engine = CompiledEngine(MODEL, config, corpus, dtype="float32")
    engine.set_weights(mersenne.gauss(count_params(MODEL), MODEL.init_std, random.Random(1)))
    engine.run(1)
    started, first = time.process_time(), engine.n_steps
    while engine.n_steps < STEPS:
        engine.run(STEPS)
    share = (STEPS - first) / STEPS
    return share * (len(corpus.tokens) - len(corpus)) / (time.process_time() - started)
