"""Compare the training speed of the JAX engine with the compiled engine, by the size of the model.

Both engines train the same models on the same documents, in turns: the compiled engine with one
thread and with as many as there are cores, and JAX on the device that it finds, in float32 and, on
a GPU or TPU, in bfloat16. Prints predicted tokens per second, with the speed relative to the
compiled engine with all cores, and the seconds in which JAX compiles the step. Without a GPU, it
shows from which size on JAX is faster on the CPU; models of 100 million weights are left out there.

    uv run python bench/jax_engine.py [--rounds 5] [--only names] [--threads 2]
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from time import perf_counter

from harness import in_turns, parsed, store
from machine import machine
from tables import headed

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_text
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model_config import count_params
from microgpt.resource_limits import n_cpus
from microgpt.training.engines import Engine, make_engine
from microgpt.training.presets import PRESETS, VARIANT

ROUND_S = 0.5  # duration of the shortest turn
LARGE = 50_000_000  # number of weights of models that are left out on a CPU


def text(n_embd: int, n_layer: int, block_size: int, batch_size: int) -> tuple:
    """Return a model of running text with the newer architecture, and its training settings."""
    model = ModelConfig(
        n_embd=n_embd, n_head=n_embd // 32, n_layer=n_layer, block_size=block_size, **VARIANT
    )
    return model, TrainConfig(batch_size=batch_size, optimizer="muon")


NAMES, SHAKESPEARE = PRESETS["names-60s"], PRESETS["shakespeare"]
SETTINGS = {
    "names, Karpathy's": (ModelConfig(), TrainConfig()),
    "names-60s": (NAMES.model, NAMES.config),
    "shakespeare": (SHAKESPEARE.model, SHAKESPEARE.config),
    "text, 3 million": text(256, 4, 256, 8),
    "text, 11 million": text(384, 6, 256, 16),
    "text, 100 million": text(768, 14, 512, 32),
}


def main() -> None:
    """Time every setting, print a table and write the results."""
    import jax  # not for the tables

    options = parsed(__doc__, rounds=5, only="", threads=n_cpus())
    device = jax.devices()[0]
    on = f"{machine(all_cores=True)}; JAX {jax.__version__} on {device.device_kind}"
    print(on)
    on_cpu, results = device.platform == "cpu", []
    for name, (model, config) in SETTINGS.items():
        is_large = on_cpu and count_params(model) > LARGE
        if name.startswith(options.only) and not is_large:
            found = measure(model, config, options.rounds, options.threads, on_cpu=on_cpu)
            results.append({"name": name, **found})
            print(*rows({"settings": results[-1:]})[0], sep=" | ", flush=True)
    if not options.only:
        print(table(store("jax_engine", {"machine": on, "settings": results}, options)))


def measure(
    model: ModelConfig, config: TrainConfig, rounds: int, threads: int, *, on_cpu: bool
) -> dict:
    """Return the number of weights, and the tokens per second of each contender."""
    model, docs = documents(model)
    engines, compilation_s = {}, 0.0
    for name, engine, n, bfloat16 in contenders(threads, on_cpu=on_cpu):
        started = perf_counter()
        settings = model, replace(config, bfloat16=bfloat16), docs, random.Random(1)
        engines[name] = make_engine(engine, "float32", *settings, threads=n)
        if name == "JAX":
            compilation_s = perf_counter() - started
    n_steps = steps_of_a_turn(engines["compiled"])
    n_tokens = n_steps * config.batch_size * (len(docs.tokens) - len(docs)) / len(docs)
    calls = {name: partial(take, engine, n_steps) for name, engine in engines.items()}
    seconds = in_turns(calls, rounds)
    return {
        "weights": count_params(model),
        "tokens_per_s": {name: n_tokens / each for name, each in seconds.items()},
        "compilation_s": compilation_s,
    }


def contenders(threads: int, *, on_cpu: bool) -> Iterator[tuple[str, str, int, bool]]:
    """Yield a name, an engine, a number of threads, and whether to compute in bfloat16."""
    yield "compiled", "compiled", 1, False
    if threads > 1:
        yield "all cores", "compiled", threads, False
    yield "JAX", "jax", 1, False
    if not on_cpu:
        yield "JAX, bfloat16", "jax", 1, True


def documents(model: ModelConfig) -> tuple[ModelConfig, TokenDataset]:
    """Return the model with its vocabulary, and names or windows of Shakespeare that fill it."""
    is_names = model.block_size < 64
    texts = load_text(bundled("names.txt" if is_names else "shakespeare.txt"))
    tokenizer = CharTokenizer.from_documents(texts)
    size = model.block_size + 1
    if is_names:
        docs = [tokenizer.encode_document(name)[:size] for name in texts]
    else:
        tokens = tokenizer.encode("".join(texts))
        docs = [tokens[i : i + size] for i in range(0, len(tokens) - size, size)]
    random.Random(1).shuffle(docs)
    return replace(model, vocab_size=tokenizer.vocab_size), TokenDataset(docs)


def steps_of_a_turn(engine: Engine) -> int:
    """Return the number of steps that the engine takes in about ROUND_S."""
    take(engine, 1)
    started, first = perf_counter(), engine.n_steps
    while perf_counter() < started + ROUND_S:
        take(engine, 1)
    return engine.n_steps - first


def take(engine: Engine, n_steps: int) -> None:
    """Take n_steps steps."""
    until = engine.n_steps + n_steps
    while engine.n_steps < until:
        engine.run(until)


HEAD = ["", "weights", "compiled, tokens/s", "all cores", "JAX", "bfloat16", "compilation"]


def rows(kept: dict) -> list[list[str]]:
    """Return a row for each setting, with speeds relative to the best of the compiled engine."""
    lines = []
    for each in kept["settings"]:
        speeds = each["tokens_per_s"]
        best = max(speeds["compiled"], speeds.get("all cores", 0.0))
        cells = [f"{speeds['compiled']:,.0f}"]
        for name in ("all cores", "JAX", "JAX, bfloat16"):
            cells.append(
                f"{speeds[name]:,.0f} ({speeds[name] / best:.2f} ×)" if name in speeds else ""
            )
        lines.append(
            [each["name"], f"{each['weights']:,}", *cells, f"{each['compilation_s']:.0f} s"]
        )
    return lines


def table(*machines: dict) -> str:
    """Return the table of the first machine, and its name."""
    return headed(HEAD, rows(machines[0]), machines[0])


TABLES = {"jax_engine": table}

if __name__ == "__main__":
    main()
