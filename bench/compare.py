"""Repeat Karpathy's training run on both engines, and with random gradients as a control.

Trains on the reference engine, on the compiled engine in float64 and float32, and on the reference
engine with random numbers instead of gradients. This control runs with several seeds, to show the
spread of its final loss. Takes two minutes on one core.

    uv run python bench/compare.py [--steps 1000] [--rounds 3] [--controls 10]
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean
from time import process_time
from typing import Any

from harness import headed, mean_and_sd, parsed, pin, store

import microgpt
from microgpt import InferenceGpt, ModelConfig, ReferenceEngine, TrainConfig, TrainResult, Value
from microgpt.reference import document_loss

NAMES = microgpt.load_text(microgpt.bundled("names.txt"))
N_SAMPLES, N_LAST = 20, 100
ENGINES = {
    "reference": {"engine": "reference"},
    "compiled, float64": {"engine": "compiled", "dtype": "float64"},
    "compiled, float32": {"engine": "compiled", "dtype": "float32"},
}
CONTROL = "control: random gradients"


def main() -> None:
    options = parsed(__doc__, steps=TrainConfig.steps, rounds=3, controls=10)
    pin()
    results, seconds = dict[str, TrainResult](), dict[str, float]()
    for name, engine in ENGINES.items():
        microgpt.prepare_engine(engine["engine"], engine.get("dtype"))
        config = TrainConfig(steps=options.steps, **engine)
        timed = [run(config) for _ in range(options.rounds)]
        results[name], seconds[name] = timed[0][0], min(took for _, took in timed)
    controls = []
    for seed in range(options.controls):
        with random_gradients(seed):
            controls.append(run(TrainConfig(steps=options.steps, engine="reference")))
    results[CONTROL], seconds[CONTROL] = controls[0]
    first = results["reference"]
    print(f"num docs: {first.plan.data.n_docs}")
    print(f"vocab size: {first.model.vocab_size}")
    print(f"num params: {microgpt.count_params(first.model)}")
    last = [result.losses[-1] for result, _ in controls]
    print(comparison_table(store("compare", {"rows": rows(results, seconds, last)}, options)))


def run(config: TrainConfig) -> tuple[TrainResult, float]:
    """Train in one thread; return the result and the processor time in seconds."""
    started = process_time()
    return microgpt.train(NAMES, config=config), process_time() - started


@contextmanager
def random_gradients(seed: int) -> Iterator[None]:
    """Return a context manager that makes the reference engine use random gradients."""
    rng = random.Random(seed)
    update, backward = ReferenceEngine.update, Value.backward

    def update_at_random(engine: ReferenceEngine, lr: float) -> None:
        for param in engine.params:
            param.grad = rng.gauss(0, 1)
        update(engine, lr)

    ReferenceEngine.update, Value.backward = update_at_random, lambda value: None
    try:
        yield
    finally:
        ReferenceEngine.update, Value.backward = update, backward


def nodes_per_step(n_docs: int = 20) -> float:
    """Return the mean number of Values in a step's autograd graph, excluding weights."""
    tokenizer = microgpt.CharTokenizer.from_documents(NAMES)
    model = ModelConfig(vocab_size=tokenizer.vocab_size)
    engine = ReferenceEngine(model, microgpt.init_weights(model, random.Random(0)))
    docs = NAMES.copy()
    random.Random(TrainConfig.seed).shuffle(docs)
    total = 0
    for doc in docs[:n_docs]:
        seen: set[Value] = set()
        open_nodes = [document_loss(engine.gpt, tokenizer.encode_document(doc))]
        while open_nodes:
            node = open_nodes.pop()
            if node not in seen:
                seen.add(node)
                open_nodes.extend(node._inputs)
        total += len(seen - set(engine.params))
    return total / n_docs


def rows(
    results: dict[str, TrainResult], seconds: dict[str, float], controls: list[float]
) -> list[list[str]]:
    """Return the rows of the table; `controls` are the final losses of all control runs."""
    losses = [result.losses for result in results.values()]
    worst = [max(abs(a - b) for a, b in zip(losses[0], each, strict=True)) for each in losses]
    slowest, *others = seconds.values()
    samples = (InferenceGpt(each).generate(N_SAMPLES, rng=each.rng()) for each in results.values())
    return [
        ["final loss", *(f"{each[-1]:.4f}" for each in losses)],
        [f"final loss of {len(controls)} controls", "–", "–", "–", mean_and_sd(controls, 2)],
        [f"mean loss of the last {N_LAST} steps", *(f"{mean(e[-N_LAST:]):.4f}" for e in losses)],
        ["largest difference from the reference's losses", "–", *(f"{x:.1e}" for x in worst[1:])],
        ["seconds of processor time", *(f"{each:.3f}" for each in seconds.values())],
        ["speed relative to the reference", "–", *(f"{slowest / x:,.0f}" for x in others[:2]), "–"],
        ["graph nodes per step", f"{nodes_per_step():,.0f}", "0", "0", "0"],
        *([f"sample {i:2d}", *texts] for i, texts in enumerate(zip(*samples, strict=True), 1)),
    ]


def comparison_table(kept: dict[str, Any]) -> str:
    """Return the rows as a table with a column per training run."""
    return headed(["", *ENGINES, CONTROL], kept["rows"], kept)


TABLES = {"compare": comparison_table}

if __name__ == "__main__":
    main()
