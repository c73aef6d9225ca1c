"""Measure models exported for other programs: size, speed and loss of accuracy.

    uv run python bench/elsewhere.py [--rounds 9]
    uv run --with llama-cpp-python --with torch --with transformers python bench/elsewhere.py

Exports four models: Karpathy's, trained without the last names, the demo chat model, and portable
models of the same two shapes; the portable chat model is only trained briefly. Speed: greedy tokens
per second of one sequence on one core, with the cache, called from Python; the ratio is relative to
microgpt's engine, which is measured in turns. Difference: the largest difference of a
log-probability from the receipt. Bits: the loss per token of held-out names or replies, minus the
loss in microgpt.
"""

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from math import log
from pathlib import Path

from harness import in_turns, parsed, pin
from machine import machine

from microgpt import InferenceGpt, ModelConfig, TrainConfig, save, train
from microgpt.config import Sampling
from microgpt.data.documents import DEMO_MODEL, bundled, load_conversations, load_text
from microgpt.data.tokenizer import Document
from microgpt.files import publish
from microgpt.sampling import DecodeRules
from microgpt.settings import preset_settings, with_given
from microgpt.storage.model_directory import load
from microgpt.storage.saved_model import SavedModel
from microgpt_exports.comparison import MOST, Runtime, compare
from microgpt_exports.gguf_file import LlamaSession, encode_gguf, read_gguf
from microgpt_exports.onnx_file import OnnxSession, encode_onnx, read_onnx
from microgpt_exports.receipt import Receipt
from microgpt_exports.transformers_directory import (
    TransformersSession,
    encode_transformers,
    read_transformers,
)

N_HELD_OUT = 1000  # documents
STEPS = 300  # of the portable chat model
PROGRAMS: dict[str, tuple[Callable[[Path], Receipt], Callable[[Path], Runtime]]] = {
    "onnx": (read_onnx, OnnxSession),
    "gguf": (read_gguf, LlamaSession),
    "transformers": (read_transformers, TransformersSession),
}


def main() -> None:
    """Measure the files and print the results."""
    rounds = parsed(__doc__, rounds=9).rounds
    pin()
    print(f"{machine()}; median of {rounds}")
    names = load_text(bundled("names.txt"))
    chats = load_conversations(bundled("chat_heldout.jsonl"))[:N_HELD_OUT]
    with tempfile.TemporaryDirectory() as folder:
        shapes = {"names": ModelConfig(), "portable names": ModelConfig(architecture="portable")}
        for kind, shape in shapes.items():
            model = train(names[:-N_HELD_OUT], model=shape, config=TrainConfig())
            save(model, f"{folder}/{kind}")
            measure(kind, Path(folder, kind), names[-N_HELD_OUT:], rounds)
        measure("demo chat model", bundled(DEMO_MODEL), chats, rounds)
        recipe = {**preset_settings("chat"), "architecture": "portable"}
        recipe |= {"steps": STEPS, "warmup_steps": STEPS // 50}
        shape, config = (with_given(each(), recipe) for each in (ModelConfig, TrainConfig))
        taught = load_conversations(bundled("chat.jsonl"))
        model = train(taught, model=shape, config=config)
        save(model, f"{folder}/chat")
        measure("portable chat model", Path(folder, "chat"), chats, rounds)


def measure(name: str, directory: Path, docs: list[Document], rounds: int) -> None:
    """Print a line for microgpt, and one for each way to export the model."""
    saved = load(directory)
    gpt, n_tokens = InferenceGpt(saved), saved.model.block_size
    tokens = [gpt.tokenizer.encode_document(doc)[: n_tokens + 1] for doc in docs]
    masks = [gpt.tokenizer.mask(doc) or b"\1" * (n_tokens + 1) for doc in docs]
    bos, rules = gpt.tokenizer.bos_id, DecodeRules(max_tokens=n_tokens, sampling=Sampling(0))
    calls: dict[str, Callable[[], object]] = {
        "microgpt": lambda: [*gpt.engine_model.decode([bos], rules, random.Random())]
    }
    lines = {"microgpt": ""}
    expected = bits([[*gpt.log_probabilities(each[:-1])] for each in tokens], tokens, masks)
    with tempfile.TemporaryDirectory() as folder:
        for kind, files in exports(saved).items():
            publish(Path(folder, kind), files)
            file = "" if len(files) > 1 else next(iter(files))
            path = Path(folder, kind, file)
            read_receipt, run = PROGRAMS[kind]
            receipt, session = read_receipt(path), run(path)
            found = compare(receipt, session)
            assert found.largest <= MOST
            rows = [log_softmax(session, each[:-1]) for each in tokens]
            lines[kind] = (
                f", {sum(map(len, files.values())) / 1000:,.0f} kB, "
                f"difference {found.largest:.0e}, {bits(rows, tokens, masks) - expected:+.5f} bits"
            )
            calls[kind] = lambda session=session: greedy(session, bos, n_tokens)
        times = in_turns(calls, rounds)
    print(f"{name}: {expected:.3f} bits per token in microgpt")
    for kind, seconds in times.items():
        ratio = times["microgpt"] / seconds
        print(
            f"  {kind}: {n_tokens / seconds:,.0f} tokens/s ({ratio:.2f}){lines[kind]}", flush=True
        )


def exports(saved: SavedModel) -> dict[str, Mapping[str, bytes]]:
    """Return the files of each format that supports the model and whose program is installed."""
    found: dict[str, Mapping[str, bytes]] = {
        "onnx": {"model.onnx": encode_onnx(saved)},
    }
    if saved.model.architecture == "portable":
        if find_spec("llama_cpp"):
            found["gguf"] = {"model.gguf": encode_gguf(saved, "model")}
        if find_spec("torch") and find_spec("transformers"):
            import torch

            torch.set_num_threads(1)
            found["transformers"] = encode_transformers(saved)
    return found


def greedy(session: Runtime, token: int, n_tokens: int) -> None:
    """Generate tokens one by one with the cache."""
    cache = None
    for _ in range(n_tokens):
        logits, cache = session.read([token], cache)
        token = int(logits[-1].argmax())


def log_softmax(session: Runtime, tokens: list[int]) -> list[list[float]]:
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
