"""Train models on changed documents, drawn at random; write what a text and the documents get.

    python what_if_runs.py N KERNELS RESULT.json

The order of reading is made here, chunk by chunk. The numbers are those of the rounding that the
environment selects.
"""

import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from training_runs import settings_of, shape_of, text_of, write_cases

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.data.split import Split, split
from microgpt.data.tokenizer import CharTokenizer
from microgpt.evaluation import explain
from microgpt.training.train import train

VALIDATION, N_SEEDS, N_LINES = 0.3, 2, 60


@dataclass(frozen=True)
class Changes:
    """The documents that are left out, by index, and what is added."""

    left_out: list[int]
    added: list[str]


@dataclass(frozen=True)
class Documents:
    """Documents, and the chunks of each and of the new ones after them."""

    docs: list[str]
    new: list[str]
    tokenizer: CharTokenizer
    size: int

    def chunks(self, config: TrainConfig) -> list[range]:
        docs = [*self.docs, *self.new]
        counts = [len(Split([d], [d]).chunked(self.tokenizer, self.size, config)) for d in docs]
        return [range(*ends) for ends in pairwise([0, *accumulate(counts)])]

    def order(self, changes: Changes, config: TrainConfig, rng: random.Random) -> list[int]:
        """Return the chunks in the order in which they are read."""
        chunks, n = self.chunks(config), len(self.docs)
        order = [(i, chunk) for i in range(n) for chunk in chunks[i]]
        if config.shuffle:
            rng.shuffle(order)
        of_new = dict(zip(self.new, chunks[n:], strict=True))
        made = [chunk for i, chunk in order if i not in changes.left_out]
        extra = [chunk for each in changes.added for chunk in of_new[each]]
        n_places = min(len(made) + len(extra), config.steps * config.batch_size)
        places = {(2 * j + 1) * n_places // (2 * len(extra)): c for j, c in enumerate(extra)}
        rest = iter(made)
        return [places[i] if i in places else next(rest) for i in range(n_places)]

    def trained(self, changes: Changes, model: ModelConfig, config: TrainConfig) -> InferenceGpt:
        def order_of(_n: int, _config: Any, rng: random.Random, *_: Any) -> Sequence[int]:
            return self.order(changes, config, rng)

        docs = [*self.docs, *self.new]
        with patch("microgpt.training.planning.reading_order", order_of):
            parts = Split(docs, docs)
            result = train(parts, model=model, config=config, tokenizer=self.tokenizer)
        return InferenceGpt(result)


def wish_of(rng: random.Random, docs: Sequence[str]) -> tuple[dict[str, str], Changes]:
    """Return a wish as the page has it, and the changes that it means."""
    kind = rng.choice(("without", "with"))
    if kind == "without":
        first = rng.choice(docs)[0]
        gone = [i for i, doc in enumerate(docs) if doc.startswith(first)]
        return {"kind": kind, "start": first}, Changes(gone, [])
    new = sorted({doc[::-1] + rng.choice(docs)[:7] for doc in rng.sample(docs, rng.randint(1, 5))})
    return {"kind": kind, "texts": "\n".join(new)}, Changes([], new)


def figures(
    documents: Documents,
    changes: Changes,
    model: ModelConfig,
    config: TrainConfig,
    text: str,
    n: int,
) -> dict[str, Any]:
    """Return bits without the change, with it, and with n other seeds.

    Those of each token of a text, and the mean of the documents that change.
    """
    concerned = [documents.docs[i] for i in changes.left_out] + changes.added
    bits, means, none = [], [], Changes([], [])
    seeds = [replace(config, seed=config.seed + 1 + i) for i in range(n)]
    for made, settings in [(none, config), (changes, config), *((none, each) for each in seeds)]:
        gpt = documents.trained(made, model, settings)
        bits.append([each.bits for each in explain(gpt, text).predictions])
        means.append(statistics.fmean(explain(gpt, each).bits for each in concerned))
    read, chunks = (
        {*documents.order(none, config, random.Random(config.seed))},
        documents.chunks(config),
    )
    n_read = sum(not read.isdisjoint(chunks[i]) for i in changes.left_out) + len(changes.added)
    return {"bits": bits, "documents": means, "n": len(concerned), "n_read": n_read}


def case(number: int) -> dict[str, Any]:
    """Return a question that is drawn, and the figures."""
    rng = random.Random(number)
    text = text_of(rng, N_LINES)
    lines = text.split("\n")
    model = shape_of(rng)
    validation, config = rng.choice((0.0, VALIDATION)), settings_of(rng)
    config = replace(config, batch_size=max(3, config.batch_size))  # reads more than is added
    parts = split(lines, validation=validation)
    docs = list(map(str, parts.train))
    wish, changes = wish_of(rng, docs)
    tokenizer = CharTokenizer.from_documents(parts.docs)
    documents = Documents(docs, sorted({*changes.added}), tokenizer, model.block_size)
    asked = "".join(rng.choices(tokenizer.chars, k=rng.randint(1, 2 * model.block_size)))
    return {
        "text": text,
        "settings": {"model": asdict(model), "config": asdict(config), "validation": validation},
        "question": {"wish": wish, "text": asked, "nSeeds": N_SEEDS},
        **figures(documents, changes, model, config, asked, N_SEEDS),
    }


if __name__ == "__main__":
    write_cases([*map(case, range(int(sys.argv[1])))], Path(sys.argv[2]), Path(sys.argv[3]))
