"""Train 50 steps of each architecture, and decode 1,000 names; store all numbers.

    python tests/same_bits_job.py RESULT.npz [--modules DIRECTORY]

With the directory of the WebAssembly modules, the kernels run in Node.
"""

import argparse
import random
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from microgpt.config import ModelConfig, Sampling, TrainConfig
from microgpt.data.documents import bundled
from microgpt.model import init_weights
from microgpt.sampling import DecodeRules
from microgpt_engine.compiled_model import CompiledModel
from microgpt_engine.training.trainer import CompiledEngine

STEPS, N_NAMES = 50, 1000
SHAPE = {"n_embd": 24, "n_head": 3, "n_layer": 2}
MODELS = {
    "karpathy": {},
    "modern": SHAPE | {"architecture": "modern"},
    "portable": SHAPE | {"architecture": "portable"},
    "muon": SHAPE,
    "dropout": SHAPE,
}
CONFIGS = {
    "muon": {"optimizer": "muon", "batch_size": 8},
    "dropout": {"dropout": 0.1, "weight_decay": 0.1, "batch_size": 16},
}


def documents() -> list[list[int]]:
    """Return names as tokens; the start token is 26."""
    names = bundled("names.txt").read_text(encoding="utf-8").split()
    random.Random(1).shuffle(names)
    tokens = [[26, *(ord(letter) - ord("a") for letter in name), 26] for name in names[:1000]]
    return [each for each in tokens if len(each) <= 17]


def model_of(name: str) -> ModelConfig:
    return ModelConfig(vocab_size=27, block_size=16, **MODELS[name])


def trained(name: str, dtype: str, docs: list[list[int]]) -> tuple[CompiledEngine, np.ndarray]:
    """Return an engine after the steps, and the losses."""
    model, config = model_of(name), TrainConfig(steps=STEPS, **CONFIGS.get(name, {}))
    engine = CompiledEngine(model, config, docs, dtype=dtype)
    engine.set_weights(init_weights(model, random.Random(42)))
    losses: list[float] = []
    while engine.n_steps < STEPS:
        losses += engine.run(STEPS)
    return engine, np.array(losses)


def decoded(name: str, dtype: str, engine: CompiledEngine) -> np.ndarray:
    """Return names of a trained model, as rows of tokens."""
    rules = DecodeRules(max_tokens=16, stop=(26,), sampling=Sampling(0.7))
    compiled = CompiledModel(model_of(name), engine.flat_weights(), dtype)
    names = np.full((N_NAMES, 16), -1)
    for row, tokens in zip(
        names, compiled.decode_many([[26]] * N_NAMES, range(N_NAMES), rules), strict=True
    ):
        row[: len(tokens)] = tokens
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("--modules", type=Path)
    options = parser.parse_args()
    docs, results = documents(), {}
    with ExitStack() as stack:
        if options.modules:
            from node import Node

            stack.enter_context(stack.enter_context(Node(options.modules)).kernels())
        for dtype in ("float32", "float64"):
            for name in MODELS:
                engine, losses = trained(name, dtype, docs)
                results[f"{dtype} {name} losses"] = losses
                results[f"{dtype} {name} weights"] = engine.flat_weights()
                if name in ("karpathy", "modern"):
                    results[f"{dtype} {name} names"] = decoded(name, dtype, engine)
    np.savez(options.result, **results)


if __name__ == "__main__":
    main()
