"""Do the engines agree, and does a model that is trained at random learn anything?

Karpathy's run four times: on the reference, on the compiled engine in float64 and in float32, and,
as a control, on the reference with gradients that are random numbers. Writes docs/comparison.md.

    uv run python bench/compare.py
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from train_speed import machine

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data import bundled, load_text
from microgpt.engines import prepare_engine
from microgpt.inference import InferenceGpt
from microgpt.model import count_params, init_weights
from microgpt.reference import ReferenceEngine, document_loss
from microgpt.state import TrainResult
from microgpt.tokenizer import CharTokenizer
from microgpt.train import train
from microgpt.value import Value

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
NAMES = load_text(bundled("names.txt"))
N_SAMPLES, N_LAST = 20, 100


@dataclass
class Column:
    """One of the four runs."""

    title: str
    result: TrainResult
    seconds: float
    nodes: float  # of the graph of a step, on average

    @property
    def samples(self) -> list[str]:
        """The samples that `microgpt train` prints."""
        return InferenceGpt(self.result).generate(N_SAMPLES, rng=self.result.rng())


def main() -> None:
    """Run the four and write the page."""
    nodes = nodes_per_step()
    columns = [
        run("reference", nodes, engine="reference"),
        run("compiled, float64", 0, engine="compiled", dtype="float64"),
        run("compiled, float32", 0, engine="compiled", dtype="float32"),
        control(nodes),
    ]
    PAGE.write_text(page(columns), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


def run(title: str, nodes: float, **options: str) -> Column:
    """Train once on an engine that is loaded."""
    prepare_engine(options["engine"], options.get("dtype"))
    started = perf_counter()
    result = train(NAMES, **options)
    return Column(title, result, perf_counter() - started, nodes)


def control(nodes: float) -> Column:
    """Train on the reference with random numbers for gradients."""
    rng = random.Random(0)

    def backward_at_random(engine: ReferenceEngine, batch: list[list[int]]) -> float:
        for param in engine.params:
            param.grad = rng.gauss(0, 1)
        n_targets = sum(len(tokens) - 1 for tokens in batch)
        return sum(document_loss(engine.gpt, tokens).data for tokens in batch) / n_targets

    true_backward = ReferenceEngine.backward
    ReferenceEngine.backward = backward_at_random
    try:
        return run("control: random gradients", nodes, engine="reference")
    finally:
        ReferenceEngine.backward = true_backward


def nodes_per_step(n_docs: int = 20) -> float:
    """Return the Values that a step's graph is made of beside the weights, on average."""
    tokenizer = CharTokenizer.from_documents(NAMES)
    model = ModelConfig(vocab_size=tokenizer.vocab_size)
    engine = ReferenceEngine(model, TrainConfig(), init_weights(model, random.Random(0)))
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


def page(columns: list[Column]) -> str:
    """Return the page in Markdown."""
    first = columns[0].result
    rows = {
        "final loss": [f"{c.result.losses[-1]:.4f}" for c in columns],
        f"mean loss of the last {N_LAST} steps": [
            f"{sum(c.result.losses[-N_LAST:]) / N_LAST:.4f}" for c in columns
        ],
        "largest difference to the reference's losses": [
            "–",
            *(f"{worst_difference(first, column.result):.1e}" for column in columns[1:]),
        ],
        "seconds": [f"{c.seconds:.3f}" for c in columns],
        "times as fast as the reference": [
            "–",
            *(f"{columns[0].seconds / c.seconds:,.0f}" for c in columns[1:3]),
            "–",
        ],
        "graph nodes a step": [f"{c.nodes:,.0f}" for c in columns],
    }
    for i, samples in enumerate(zip(*(column.samples for column in columns), strict=True), 1):
        rows[f"sample {i:2d}"] = list(samples)
    table = [
        "| | " + " | ".join(column.title for column in columns) + " |",
        "|---|" + "---|" * len(columns),
        *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()),
    ]
    return f"""# One run, four ways

The seed of this project compared Karpathy's script with a Rust version that updated its weights
with random numbers, and found that this one did not learn. Here is the comparison done properly:
the same run on both engines, and random gradients where they belong, as a control. A model that has
learnt nothing is at ln 27 = {math.log(27):.4f}; the control is worse: it walks away from there.

```
num docs: {first.n_docs}
vocab size: {first.model.vocab_size}
num params: {count_params(first.model)}
```

{chr(10).join(table)}

Seconds are of the training alone, set-up included, on an engine that is loaded. The control has no
backward pass. Measured on: {machine()}.

This page is written by `uv run python bench/compare.py`.
"""


def worst_difference(one: TrainResult, other: TrainResult) -> float:
    """Return the largest difference between the losses of a step."""
    return max(abs(a - b) for a, b in zip(one.losses, other.losses, strict=True))


if __name__ == "__main__":
    main()
