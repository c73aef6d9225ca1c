"""Train 50 steps of each architecture, and decode 1,000 names, for same_bits.py; store all numbers.

    python bench/same_bits_job.py RESULT.npz [--modules DIRECTORY] [--foreign TARGET DIRECTORY]

With the directory of the WebAssembly modules, the kernels run in Node. With the directory of
kernels for Windows or macOS, these kernels are run as far as possible.
"""

import argparse
import random
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from microgpt.config import ModelConfig, Sampling, TrainConfig
from microgpt.data.documents import bundled
from microgpt.engine import processor
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.decoding.decoder import Decoder, decode
from microgpt.engine.machine_code import EntryPoint
from microgpt.engine.settings import architecture_of
from microgpt.engine.training.trainer import CompiledEngine, learning_rates, take_steps
from microgpt.model import init_weights
from microgpt.sampling import DecodeRules

STEPS, N_NAMES = 50, 1000
SHAPE = {"n_embd": 24, "n_head": 3, "n_layer": 2}
MODELS = {
    "karpathy": {},
    "rotary": SHAPE | {"positions": "rotary"},
    "token shift": SHAPE | {"token_shift": True},
    "relu2": SHAPE | {"activation": "relu2"},
    "qk norm": SHAPE | {"qk_norm": True},
    "final norm": SHAPE | {"final_norm": True},
    "newer": SHAPE
    | {"positions": "rotary", "token_shift": True, "activation": "relu2"}
    | {"qk_norm": True, "final_norm": True},
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


def training_call() -> tuple[EntryPoint, tuple[Any, ...]]:
    """Return the kernel that trains, and arguments for 100 of Karpathy's steps in float32."""
    config = TrainConfig(steps=1000)
    engine = CompiledEngine(model_of("karpathy"), config, documents(), dtype="float32")
    engine.set_weights(init_weights(model_of("karpathy"), random.Random(42)))
    losses, lrs = np.zeros(100), learning_rates(config, np.arange(100))
    where = engine.workspace, engine._dataset, engine.settings
    return take_steps, (*where, lrs, losses, True, 10**9)


def decoder_call() -> tuple[EntryPoint, tuple[Any, ...]]:
    """Return the kernel that generates, and arguments for names of a model after 50 steps."""
    model = _taught()
    rules = DecodeRules(max_tokens=16, stop=(26,), sampling=Sampling(0.7))
    decoder = Decoder(model, [[26]] * N_NAMES, rules)
    decoder.sequences.uniforms[:] = np.random.default_rng(1).random((N_NAMES, 16))
    architecture = architecture_of(model.config, model.dtype)
    return decode, (decoder._weights, decoder.arrays, decoder.sequences, architecture, 10**9)


@cache
def _taught() -> CompiledModel:
    engine, _ = trained("karpathy", "float32", documents())
    return CompiledModel(model_of("karpathy"), engine.flat_weights(), "float32")


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
    parser.add_argument("--foreign", nargs=2)
    options = parser.parse_args()
    docs, results = documents(), {}
    with ExitStack() as stack:
        if options.modules:
            from node import Node

            stack.enter_context(stack.enter_context(Node(options.modules)).kernels())
        if options.foreign:
            import foreign

            foreign.install(options.foreign[0], Path(options.foreign[1]))
        for dtype in ("float32", "float64"):
            for name in MODELS:
                engine, losses = trained(name, dtype, docs)
                results[f"{dtype} {name} losses"] = losses
                results[f"{dtype} {name} weights"] = engine.flat_weights()
                if name in ("karpathy", "newer"):
                    results[f"{dtype} {name} names"] = decoded(name, dtype, engine)
    np.savez(options.result, **results)
    print(processor.ROUNDING, file=sys.stderr)


if __name__ == "__main__":
    main()
