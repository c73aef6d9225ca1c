"""Measure models exported for other programs: size, speed and loss of accuracy.

    uv run python bench/elsewhere.py [--rounds 9]

Exports Karpathy's model, trained without the last names, and the demo chat model. Speed: greedy
tokens per second of one sequence on one core, with the cache; the ratio is to microgpt's engine,
in turns with it. Difference: the largest of a log-probability in the receipt. Bits: the loss per
token of held-out names or replies, minus that in microgpt.
"""

import random
import tempfile
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path

from harness import in_turns, parsed, pin
from machine import machine

from microgpt import InferenceGpt, ModelConfig, TrainConfig, save, train
from microgpt.config import Sampling
from microgpt.data.documents import DEMO_MODEL, bundled, load_conversations, load_text
from microgpt.data.tokenizer import Document
from microgpt.exports.comparison import MOST, compare
from microgpt.exports.onnx_file import encode_onnx, read_onnx
from microgpt.exports.onnx_session import OnnxSession
from microgpt.sampling import DecodeRules
from microgpt.storage.model_directory import load

N_HELD_OUT = 1000  # documents


def main() -> None:
    """Measure the files and print the results."""
    rounds = parsed(__doc__, rounds=9).rounds
    pin()
    print(f"{machine()}; median of {rounds}")
    names = load_text(bundled("names.txt"))
    chats = load_conversations(bundled("chat_heldout.jsonl"))[:N_HELD_OUT]
    with tempfile.TemporaryDirectory() as folder:
        karpathys = train(names[:-N_HELD_OUT], model=ModelConfig(), config=TrainConfig())
        save(karpathys, f"{folder}/names")
        measure("names", Path(folder, "names"), names[-N_HELD_OUT:], rounds)
        measure("demo chat model", bundled(DEMO_MODEL), chats, rounds)


def measure(name: str, directory: Path, docs: list[Document], rounds: int) -> None:
    """Print a line for microgpt, and one for each way to export the model."""
    saved = load(directory)
    gpt, n_tokens = InferenceGpt(saved), saved.model.block_size
    tokens = [gpt.tokenizer.encode_document(doc)[: n_tokens + 1] for doc in docs]
    masks = [gpt.tokenizer.mask(doc, "assistant") or b"\1" * (n_tokens + 1) for doc in docs]
    bos, rules = gpt.tokenizer.bos_id, DecodeRules(max_tokens=n_tokens, sampling=Sampling(0))
    calls: dict[str, Callable[[], object]] = {
        "microgpt": lambda: [*gpt.compiled.decode([bos], rules, random.Random())]
    }
    lines = {"microgpt": ""}
    expected = bits([gpt.log_probabilities(each[:-1]) for each in tokens], tokens, masks)
    with tempfile.TemporaryDirectory() as folder:
        for kind, int8 in (("onnx", False), ("onnx --int8", True)):
            file = Path(folder, f"{int8}.onnx")
            file.write_bytes(encode_onnx(saved, int8=int8))
            receipt, session = read_onnx(file), OnnxSession(file)
            found = compare(receipt, session)
            assert found.largest <= MOST
            rows = [log_softmax(session, each[:-1]) for each in tokens]
            lines[kind] = (
                f", {file.stat().st_size / 1000:,.0f} kB, difference {found.largest:.0e}, "
                f"{bits(rows, tokens, masks) - expected:+.5f} bits"
            )
            calls[kind] = lambda session=session: greedy(session, bos, n_tokens)
        times = in_turns(calls, rounds)
    print(f"{name}: {expected:.3f} bits per token in microgpt")
    for kind, seconds in times.items():
        ratio = times["microgpt"] / seconds
        print(f"  {kind}: {n_tokens / seconds:,.0f} tokens/s ({ratio:.2f}){lines[kind]}")


def greedy(session: OnnxSession, token: int, n_tokens: int) -> None:
    """Generate tokens one by one with the cache."""
    cache = None
    for _ in range(n_tokens):
        logits, cache = session.read([token], cache)
        token = int(logits[-1].argmax())


def log_softmax(session: OnnxSession, tokens: list[int]) -> list[list[float]]:
    """Return the log-probabilities after each token."""
    import numpy as np

    logits = session.read(tokens, None)[0].astype(float)
    rows: list[list[float]] = (logits - np.logaddexp.reduce(logits, 1, keepdims=True)).tolist()
    return rows


def bits(rows: list[list[list[float]]], tokens: list[list[int]], masks: Sequence[bytes]) -> float:
    """Return the mean loss of the tokens that count, in bits."""
    losses = [
        -row[token] / log(2)
        for each, read, mask in zip(rows, tokens, masks, strict=True)
        for row, token, counts in zip(each, read[1:], mask[1:], strict=False)
        if counts
    ]
    return sum(losses) / len(losses)


if __name__ == "__main__":
    main()
