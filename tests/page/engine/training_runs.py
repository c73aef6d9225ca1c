"""Train Karpathy's model and N models with random settings; write their inputs and results.

    python training_runs.py N FOLDER RESULT.json  # FOLDER has the kernels in WebAssembly

Numba's environment variables, which the fixture `runs` sets, determine how numbers are rounded.
"""

import base64
import json
import random
import string
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.config import TextKind
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split, split_stream
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model import weight_shapes
from microgpt.training.hooks import Hook, OnEvent
from microgpt.training.loop import DivergedError
from microgpt.training.train import train
from microgpt_engine.wasm import TRAINING
from microgpt_page.packed_files import engine_file

STEPS, VALIDATION = 50, 0.3
# Parts of a model that can be removed, each with the matrix that is set to 0 to remove it.
PARTS = {"positions": "wpe", "attention": "attn_wo", "MLP": "mlp_fc2"}


def settings_of(rng: random.Random) -> TrainConfig:
    return TrainConfig(
        steps=STEPS,
        batch_size=rng.choice((1, 2, 7, 40)),
        lr=rng.choice((None, 0.001, 0.003)),
        optimizer=rng.choice(("adamw", "muon")),
        seed=rng.choice((0, 42, 2**32 + 1, rng.randrange(2**53))),
        shuffle=rng.random() < 0.8,
        evaluations=rng.choice((1, 5)),
        weight_decay=rng.choice((0.0, 0.1)),
        dropout=rng.choice((0.0, 0.0, 0.1)),
        beta1=rng.choice((0.85, 0.9)),
    )


def shape_of(rng: random.Random) -> ModelConfig:
    """Return the shape of a model with Karpathy's architecture, which the page trains."""
    n_head = rng.choice((1, 2, 3))
    return ModelConfig(
        n_embd=n_head * rng.randint(2, 8),
        n_head=n_head,
        n_layer=rng.choice((1, 2)),
        block_size=rng.randint(20, 40),
    )


def text_of(rng: random.Random, n_lines: int) -> str:
    """Return lines of different lengths; some are repeated, but no two differ only in case."""
    chars = rng.sample(string.ascii_lowercase + "ж☃😀", rng.randint(2, 20))
    longest = rng.choice((5, 20, 200))
    texts = ["".join(rng.choices(chars, k=rng.randint(1, longest))) for _ in range(n_lines)]
    return "\n".join(texts + texts[:5])


def encoded(numbers: Any) -> str:
    return base64.b64encode(np.asarray(numbers, np.float32).tobytes()).decode()


class Without(Hook):
    """Removes parts of the model before each training step."""

    def __init__(self, parts: list[str]) -> None:
        self.matrices = tuple(PARTS[part] for part in parts)

    def next_step(self, run: Any) -> int:
        return run.step + 1

    def on_step(self, run: Any) -> None:
        run.engine.set_weights(self.cleared(run.engine.flat_weights(), run.plan.model))

    def cleared(self, weights: Any, model: ModelConfig) -> Any:
        weights, start = np.array(weights), 0
        for name, (rows, columns) in weight_shapes(model).items():
            end = start + rows * columns
            if name.endswith(self.matrices):
                weights[start:end] = 0
            start = end
        return weights


def run(
    text: str, model: ModelConfig, config: TrainConfig, validation: float, without: list[str]
) -> dict:
    """Return the settings of a run, its losses, its held-out losses by step, and its weights."""
    held_out: dict[int, float] = {}
    losses: list[float] = []
    names, others, weights = [], [], ""
    if config.text == "stream":
        parts = split_stream(text, validation=validation, gap=model.block_size)
    else:
        parts = split(text.split("\n"), validation=validation)
    tokenizer = CharTokenizer.from_documents(parts.docs)

    def follow(event: Any) -> None:
        losses.extend(event.losses)
        if event.val_loss is not None:
            held_out[event.step] = event.val_loss

    try:
        settings = {"model": model, "config": config, "tokenizer": tokenizer}
        removed = Without(without)
        hooks = [OnEvent(follow), *([removed] if without else [])]
        result = train(parts, **settings, hooks=hooks)
        weights = encoded(removed.cleared(result.state.weights, result.plan.model))
    except DivergedError:
        result = None
    if result and not validation:
        gpt = InferenceGpt(result)
        names, others = gpt.generate(20, rng=result.rng()), gpt.generate(5, prompt="a", seed=7)
    return {
        "text": text,
        "model": asdict(model),
        "config": {**asdict(config), "without": without},
        "validation": validation,
        "losses": losses,
        "has_diverged": not result,
        "held_out": held_out,
        "weights": weights,
        "names": names,
        "others": others,
    }


def drawn(number: int) -> dict:
    rng = random.Random(number)
    kind: TextKind = rng.choice(("lines", "lines", "stream"))
    text = text_of(rng, 600 if kind == "stream" else 60)
    shape, config = shape_of(rng), replace(settings_of(rng), text=kind)
    return run(text, shape, config, VALIDATION, rng.sample([*PARTS], rng.choice((0, 0, 1, 2))))


def cases(n: int) -> list[dict]:
    """Return Karpathy's run, a run that diverges, and n random runs."""
    names = "\n".join(load_text(bundled("names.txt")))
    diverging = TrainConfig(steps=100, lr=1e30)
    return [
        run(names, ModelConfig(), TrainConfig(), 0.0, []),
        run(names[:1000], ModelConfig(), diverging, 0.0, []),
        *map(drawn, range(n)),
    ]


def write_cases(cases: list[dict], folder: Path, result: Path) -> None:
    """Write the cases to `result`, with an engine file made from the kernels in `folder`."""
    modules = {name: (folder / f"{name}-{dtype}.wasm").read_bytes() for name, dtype in TRAINING}
    facts, parts = engine_file(modules)
    kernels = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    result.write_text(json.dumps({"facts": facts, "parts": kernels, "cases": cases}))


if __name__ == "__main__":
    write_cases(cases(int(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]))
