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
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from math import log
from pathlib import Path

from harness import in_turns, parsed, pin
from machine import machine

from microgpt import ExportRequest, InferenceGpt, ModelConfig, TrainConfig, save, train
from microgpt.config import Sampling
from microgpt.data.documents import DEMO_MODEL, bundled, load_conversations, load_text
from microgpt.data.tokenizer import Document
from microgpt.files import publish
from microgpt.sampling import DecodeRules
from microgpt.settings import preset_settings, with_given
from microgpt.storage.model_directory import load
from microgpt.storage.saved_model import SavedModel
from microgpt_exports.gguf_file import GGUF_FORMAT
from microgpt_exports.onnx_file import ONNX_FORMAT
from microgpt_exports.receipt import MOST, Program, compare
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT

N_HELD_OUT = 1000  # documents
STEPS = 300  # of the portable chat model
FORMATS = {each.name: each for each in (ONNX_FORMAT, GGUF_FORMAT, TRANSFORMERS_FORMAT)}
REQUIRED = {"gguf": ("llama_cpp",), "transformers": ("torch", "transformers")}


def main() -> None:
    """Measure the files and print the results."""
    rounds = parsed(__doc__, rounds=9).rounds
    pin()
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
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
        for kind in formats_of(saved):
            format, path = FORMATS[kind], Path(folder, f"model-{kind}")
            files = format.write(saved, ExportRequest(path, "model", lambda _: None))
            for file, content in files.items():
                publish(file.parent, {file.name: content})
            receipt, session = format.read(path), format.run(path)
            assert receipt
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


def formats_of(saved: SavedModel) -> list[str]:
    """Return the formats that support the model and whose program is installed."""
    if saved.model.architecture != "portable":
        return ["onnx"]
    return [name for name in FORMATS if all(map(find_spec, REQUIRED.get(name, ())))]


def greedy(session: Program, token: int, n_tokens: int) -> None:
    """Generate tokens one by one with the cache."""
    cache = None
    for _ in range(n_tokens):
        logits, cache = session([token], cache)
        token = int(logits[-1].argmax())


def log_softmax(session: Program, tokens: list[int]) -> list[list[float]]:
    """Return the log-probabilities after each token."""
    import numpy as np

    logits = session(tokens, None)[0].astype(float)
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
