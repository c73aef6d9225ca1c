"""Measure models exported for other programs: size, speed and loss of accuracy.

    uv run --group onnx python bench/elsewhere.py [--rounds 9]
    uv run --group onnx --with llama-cpp-python --with torch --with transformers bench/elsewhere.py

Exports four models: Karpathy's (trained without the held-out names), the demo chat model, and two
portable models of the same shapes; the portable chat model is trained only briefly. "Speed" is the
number of tokens per second when Python greedily generates one sequence on one core; its ratio is to
that of microgpt's engine, which takes turns. "Difference" is the largest difference between a
log-probability and the one that microgpt recorded in the export. "Bits" is the loss per held-out
token minus microgpt's loss. The first command measures only onnxruntime, and stores nothing.
"""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import log
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from harness import headed, in_turns, parsed, pin, store

import microgpt
from microgpt import Document, InferenceGpt, ModelConfig, SavedModel, TrainConfig, bundled
from microgpt_exports.gguf_file import GGUF_FORMAT
from microgpt_exports.onnx_file import ONNX_FORMAT
from microgpt_exports.receipt import MOST, Program, compare
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT

N_HELD_OUT = 1000  # number of held-out documents
CHAT_STEPS = 300  # number of training steps of the portable chat model
FORMATS = {  # by program: its format, and the modules that it needs
    "onnxruntime": (ONNX_FORMAT, "onnxruntime"),
    "llama.cpp": (GGUF_FORMAT, "llama_cpp"),
    "transformers": (TRANSFORMERS_FORMAT, "transformers", "torch"),
}


def main() -> None:
    options = parsed(__doc__, rounds=9)
    pin()
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
    found = [
        {"model": name, "programs": measured(saved, docs, options.rounds)}
        for name, saved, docs in models()
    ]
    options.is_short |= not all(map(is_installed, FORMATS))
    print(elsewhere_table(store("elsewhere", {"models": found}, options)))


def is_installed(program: str) -> bool:
    return all(map(find_spec, FORMATS[program][1:]))


def models() -> Iterator[tuple[str, SavedModel, list[Document]]]:
    """Yield the name of each model, the model, and its held-out documents."""
    names = microgpt.load_text(bundled("names.txt"))
    rest, held_out = names[:-N_HELD_OUT], names[-N_HELD_OUT:]
    yield "Karpathy's names", trained(rest, ModelConfig()), held_out
    yield "the same, portable", trained(rest, ModelConfig(architecture="portable")), held_out
    demo = microgpt.load(bundled(microgpt.DEMO_MODEL))
    talks = microgpt.load_conversations(bundled("chat_heldout.jsonl"))
    yield "demo chat model", demo, talks[:N_HELD_OUT]
    shape = replace(demo.model, architecture="portable")
    config = TrainConfig(steps=CHAT_STEPS, batch_size=48, lr=0.002, optimizer="muon")
    portable = trained(microgpt.load_conversations(bundled("chat.jsonl")), shape, config)
    yield "portable chat model", portable, talks[:N_HELD_OUT]


def trained(
    docs: list[Document], shape: ModelConfig, config: TrainConfig | None = None
) -> SavedModel:
    with tempfile.TemporaryDirectory() as folder:
        microgpt.save(microgpt.train(docs, model=shape, config=config), folder)
        return microgpt.load(folder)


def measured(saved: SavedModel, docs: list[Document], rounds: int) -> dict[str, dict[str, float]]:
    """Return the size, speed and accuracy of a model in each program, microgpt first."""
    gpt, n_tokens = InferenceGpt(saved), saved.model.block_size
    tokens = [gpt.tokenizer.encode_document(doc)[: n_tokens + 1] for doc in docs]
    masks = [gpt.tokenizer.mask(doc) or b"\1" * (n_tokens + 1) for doc in docs]
    rules = microgpt.DecodeRules(max_tokens=n_tokens, sampling=microgpt.Sampling(0))
    bos = gpt.tokenizer.bos_id
    calls: dict[str, Callable[[], object]] = {
        "microgpt": lambda: [*gpt.engine_model.decode([bos], rules, random.Random())]
    }
    found: dict[str, dict[str, float]] = {"microgpt": {}}
    expected = bits([[*gpt.log_probabilities(each[:-1])] for each in tokens], tokens, masks)
    with tempfile.TemporaryDirectory() as folder:
        for kind in filter(is_installed, FORMATS):
            if kind != "onnxruntime" and saved.model.architecture != "portable":
                continue
            format, path = FORMATS[kind][0], Path(folder, f"model-{kind}")
            files = format.write(saved, microgpt.ExportRequest(path, "model", lambda _: None))
            for file, content in files.items():
                microgpt.publish(file.parent, {file.name: content})
            receipt, session = format.read(path), format.run(path)
            assert receipt
            largest = compare(receipt, session).largest
            assert largest <= MOST
            more = bits([log_softmax(session, each[:-1]) for each in tokens], tokens, masks)
            n_bytes = sum(map(len, files.values()))
            found[kind] = {"bytes": n_bytes, "difference": largest, "bits": more - expected}
            calls[kind] = lambda session=session: greedy(session, bos, n_tokens)
        for kind, seconds in in_turns(calls, rounds).items():
            found[kind]["tokens_per_s"] = n_tokens / median(seconds)
    return found


def greedy(session: Program, token: int, n_tokens: int) -> None:
    """Generate tokens greedily, one by one, with a KV cache."""
    cache = None
    for _ in range(n_tokens):
        logits, cache = session([token], cache)
        token = int(logits[-1].argmax())


def log_softmax(session: Program, tokens: list[int]) -> list[list[float]]:
    """Return the log-probabilities of the next token after each of the tokens."""
    logits = session(tokens, None)[0].astype(float)
    rows: list[list[float]] = (logits - np.logaddexp.reduce(logits, 1, keepdims=True)).tolist()
    return rows


def bits(rows: list[list[list[float]]], tokens: list[list[int]], masks: Sequence[bytes]) -> float:
    """Return the mean loss, in bits, of the tokens whose mask is 1."""
    return fmean(
        -row[token] / log(2)
        for each, read, mask in zip(rows, tokens, masks, strict=True)
        for row, token, counts in zip(each, read[1:], mask[1:], strict=False)
        if counts
    )


def elsewhere_table(kept: dict[str, Any]) -> str:
    """Return a table of sizes, speeds and differences, with a row per model and program."""
    lines = []
    for model in kept["models"]:
        ours = model["programs"]["microgpt"]["tokens_per_s"]
        for program, one in model["programs"].items():
            speed = f"{one['tokens_per_s']:,.0f} ({one['tokens_per_s'] / ours:.2f})"
            cells = ["", speed, "", ""]
            if "bytes" in one:
                cells = [f"{one['bytes'] / 1000:,.0f} kB", speed, f"{one['difference']:.0e}",
                         f"{one['bits']:+z.5f}"]  # fmt: skip
            lines.append([model["model"], program, *cells])
    head = ["model", "runs in", "size", "tokens per second", "largest difference", "bits"]
    return headed(head, lines, kept)


TABLES = {"elsewhere": elsewhere_table}

if __name__ == "__main__":
    main()
