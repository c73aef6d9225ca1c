"""Repeat Karpathy's run on both engines, with random gradients as the control.

Trains on the reference engine, on the compiled engine in float64 and float32, and on the reference
engine with random numbers instead of gradients, with several seeds for the spread of the last loss.
Prints the page and writes it to docs/measurements/comparison.md, in about two minutes. A run that
is shorter than the default only prints it.

    uv run python bench/compare.py [--steps 1000] [--rounds 3] [--controls 10]
"""

import math
import random
from dataclasses import dataclass, replace
from statistics import mean, stdev
from time import process_time

from harness import ROOT, parsed
from machine import machine

from microgpt import count_params
from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_text
from microgpt.data.tokenizer import CharTokenizer
from microgpt.inference import InferenceGpt
from microgpt.model import init_weights
from microgpt.reference import ReferenceEngine, document_loss
from microgpt.state import TrainResult
from microgpt.training.engines import prepare_engine
from microgpt.training.train import train
from microgpt.value import Value

PAGE = ROOT / "docs" / "measurements" / "comparison.md"
NAMES = load_text(bundled("names.txt"))
N_SAMPLES, N_LAST = 20, 100


@dataclass
class Column:
    """A column of the table: one of the four runs."""

    title: str
    result: TrainResult
    seconds: float  # of processor time, in the fastest round
    nodes: float  # mean number of graph nodes per step

    @property
    def samples(self) -> list[str]:
        """The samples that `microgpt train` prints."""
        return InferenceGpt(self.result).generate(N_SAMPLES, rng=self.result.rng())


def main() -> None:
    """Run all four training runs and write the page."""
    options = parsed(__doc__, steps=TrainConfig.steps, rounds=3, controls=10)
    config, rounds = TrainConfig(steps=options.steps), options.rounds
    nodes = nodes_per_step()
    controls = [control(config, seed) for seed in range(options.controls)]
    columns = [
        run("reference", nodes, config, rounds, engine="reference"),
        run("compiled, float64", 0, config, rounds, engine="compiled", dtype="float64"),
        run("compiled, float32", 0, config, rounds, engine="compiled", dtype="float32"),
        replace(controls[0], seconds=min(control.seconds for control in controls)),
    ]
    losses = [control.result.losses[-1] for control in controls]
    text = page(columns, losses, rounds)
    if not options.is_short:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


def run(title: str, nodes: float, config: TrainConfig, rounds: int = 1, **options: str) -> Column:
    """Time a training run in one thread. The engine is loaded before the timing starts."""
    prepare_engine(options["engine"], options.get("dtype"))
    seconds = []
    for _ in range(rounds):
        started = process_time()
        result = train(NAMES, config=replace(config, **options))  # type: ignore[arg-type]
        seconds.append(process_time() - started)
    return Column(title, result, min(seconds), nodes)


def control(config: TrainConfig, seed: int) -> Column:
    """Train on the reference engine with random numbers as gradients."""
    rng = random.Random(seed)

    update, backward = ReferenceEngine.update, Value.backward

    def update_at_random(engine: ReferenceEngine, lr: float) -> None:
        for param in engine.params:
            param.grad = rng.gauss(0, 1)
        update(engine, lr)

    ReferenceEngine.update, Value.backward = update_at_random, lambda value: None
    try:
        return run("control: random gradients", 0, config, engine="reference")
    finally:
        ReferenceEngine.update, Value.backward = update, backward


def nodes_per_step(n_docs: int = 20) -> float:
    """Return the mean number of Values in the graph of a step, excluding weights."""
    tokenizer = CharTokenizer.from_documents(NAMES)
    model = ModelConfig(vocab_size=tokenizer.vocab_size)
    engine = ReferenceEngine(model, init_weights(model, random.Random(0)))
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


def page(columns: list[Column], control_losses: list[float], rounds: int) -> str:
    """Return the page in Markdown. `control_losses` are the last losses of all controls."""
    first = columns[0].result
    worst = [f"{worst_difference(first, column.result):.1e}" for column in columns[1:]]
    rows = {
        "final loss": [f"{c.result.losses[-1]:.4f}" for c in columns],
        f"mean loss of the last {N_LAST} steps": [
            f"{mean(c.result.losses[-N_LAST:]):.4f}" for c in columns
        ],
        "largest difference from the reference's losses": ["–", *worst],
        "seconds of processor time": [f"{c.seconds:.3f}" for c in columns],
        "speed relative to the reference": [
            "–",
            *(f"{columns[0].seconds / c.seconds:,.0f}" for c in columns[1:3]),
            "–",
        ],
        "graph nodes per step": [f"{c.nodes:,.0f}" for c in columns],
    }
    for i, samples in enumerate(zip(*(column.samples for column in columns), strict=True), 1):
        rows[f"sample {i:2d}"] = list(samples)
    table = [
        "| | " + " | ".join(column.title for column in columns) + " |",
        "|---|" + "---|" * len(columns),
        *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()),
    ]
    return f"""# Measurements: one run on both engines, with a control

For readers who want to see that both engines reproduce Karpathy's run. For microgpt against JAX,
PyTorch, NumPy and C see [speed](speed.md); against n-grams, [quality](quality.md).

An early Rust port of Karpathy's script updated its weights with random numbers instead of
gradients. Here, this variant is the control for the same run on both engines. A uniform guess has a
loss of ln 27 = {math.log(27):.4f}. The control ends above it, because its
weights take a random walk.

```
num docs: {first.plan.data.n_docs}
vocab size: {first.model.vocab_size}
num params: {count_params(first.model)}
```

{chr(10).join(table)}

Times are for a whole call to `train` on one thread (fastest of {rounds}), including preparation but
not loading the engine. A step alone takes [5 µs](speed.md#training) on a Zen 5; the reference
engine takes [16 ms](../decisions/engines.md#a-dot-product-is-one-node) on a Zen 4. The control has
no backward pass and builds no graph. Measured on: {machine()}.

With {len(control_losses)} seeds for the gradients, the control ends at
{mean(control_losses):.2f} ± {stdev(control_losses):.2f} (mean and standard deviation);
the Rust port printed 4.2898.

This page is written by `uv run python bench/compare.py`.
"""


def worst_difference(one: TrainResult, other: TrainResult) -> float:
    """Return the largest absolute difference between losses at the same step."""
    return max(abs(a - b) for a, b in zip(one.losses, other.losses, strict=True))


if __name__ == "__main__":
    main()
