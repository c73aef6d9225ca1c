"""Does a pretrained sentence encoder find more of the other wordings than word matching?

On English sets that word matching was not tuned on, twice as many: 68 and 71 %, against 32 and
41 %. On two of the three others, fewer: 38 and 44 %, against 53 and 56 %
(docs/measurements/questions.md).

    uv run python bench/study.py sentence_encoder --model all-MiniLM-L6-v2

The encoder is all-MiniLM-L6-v2 of sentence-transformers, a BERT of 22.7 million weights (91 MB)
that was trained on a billion pairs of sentences. --model is the folder with its model.safetensors
and tokenizer.json. Its similarity is the cosine of the vectors of a text and a known question;
"both" adds half the similarity of word matching. Nothing is trained: a question counts as found
if it is the most similar one, and more similar than the threshold at which a tenth of the unknown
questions of this set is answered. Each method thus has its best threshold, which a user would not
know. Half a minute on two cores.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from safetensors.numpy import load_file
from studies.few_questions import SETS
from tokenizers import Tokenizer

from microgpt.questions.matching import Matcher

OPTIONS = {"model": str}
UNKNOWN = 0.1  # share of the unknown questions that are answered
N_HEADS, MAX_TOKENS = 12, 256
Similarities = Callable[[str], Any]  # of a text to each known question


def measure(options: Namespace) -> None:
    """Print the shares of right and wrong answers of each method."""
    encode = encoder(Path(options.model or "."))
    print(machine())
    print(f"{'':10} {'':10} most similar is right  answered: right  wrong")
    for name, path in SETS.items():
        facts = json.loads(path.read_text())
        pairs = [(each["question"], each["answer"]) for each in facts["pairs"]]
        wordings = [(t, i) for i, each in enumerate(facts["pairs"]) for t in each["wordings"]]
        words, vectors = by_words(pairs), by_vectors(encode, [question for question, _ in pairs])
        methods: dict[str, Similarities] = {
            "words": words,
            "encoder": vectors,
            "both": lambda text, a=words, b=vectors: a(text) / 2 + b(text),  # type: ignore[misc]
        }
        for method, similarities in methods.items():
            least = np.quantile([similarities(t).max() for t in facts["unknown"]], 1 - UNKNOWN)
            found = [(similarities(text), i) for text, i in wordings]
            is_right = np.array([known.argmax() == i for known, i in found])
            is_answered = np.array([known.max() > least for known, _ in found])
            print(
                f"{name:10} {method:10} {is_right.mean():21.0%} "
                f"{(is_right & is_answered).mean():16.0%} {(~is_right & is_answered).mean():6.0%}",
                flush=True,
            )


def by_words(pairs: Sequence[tuple[str, str]]) -> Similarities:
    """Return the similarities that a chat model of few questions uses."""
    matcher = Matcher(pairs)

    def similarities(text: str) -> Any:
        found = np.zeros(len(pairs))
        for match in matcher.rank(text):
            found[match.number] = match.similarity
        return found

    return similarities


def by_vectors(encode: Callable[[str], Any], questions: Sequence[str]) -> Similarities:
    """Return the cosine similarities of the vectors of an encoder."""
    known = np.array([encode(question) for question in questions])
    return lambda text: known @ encode(text)


def encoder(folder: Path) -> Callable[[str], Any]:
    """Return a function from a text to its vector of length 1.

    This is BERT (Devlin et al. 2018) with the mean of the last layer's vectors.
    """
    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    cdf = np.vectorize(lambda x: (1 + erf(x / sqrt(2))) / 2, otypes=[np.float32])

    def linear(x: Any, name: str) -> Any:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.LayerNorm.weight"] + weights[f"{name}.LayerNorm.bias"]

    def attention(x: Any, name: str) -> Any:
        heads = (linear(x, f"{name}.{part}") for part in ("query", "key", "value"))
        q, k, v = (head.reshape(len(x), N_HEADS, -1).transpose(1, 0, 2) for head in heads)
        scores = np.exp(q @ k.transpose(0, 2, 1) / sqrt(q.shape[-1]))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        return mixed.transpose(1, 0, 2).reshape(x.shape)

    def encode(text: str) -> Any:
        ids = tokenizer.encode(text).ids[:MAX_TOKENS]
        table = "embeddings.{}_embeddings.weight".format
        x = weights[table("word")][ids] + weights[table("position")][: len(ids)]
        x = norm(x + weights[table("token_type")][0], "embeddings")
        i = 0
        while f"encoder.layer.{i}.output.dense.weight" in weights:
            layer = f"encoder.layer.{i}"
            mixed = linear(
                attention(x, f"{layer}.attention.self"), f"{layer}.attention.output.dense"
            )
            x = norm(mixed + x, f"{layer}.attention.output")
            hidden = linear(x, f"{layer}.intermediate.dense")
            x = norm(linear(hidden * cdf(hidden), f"{layer}.output.dense") + x, f"{layer}.output")
            i += 1
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    return encode
