"""Fit the rule of `train --minutes` to the trainings of experience.py.

Three fits, of validation losses only:

1. A response surface (Box & Wilson 1951): the logarithm of the loss is a constant for each text,
   share and budget, plus a quadratic polynomial of the logarithms of the block weights, the width
   per layer, the tokens per step and the learning rate, whose optimum may move with the budget.
   Trainings whose loss rose at the end are left out, and outliers count less. The optimum by
   budget is what `microgpt.training.choice` rounds.
2. The change of the loss if one setting changes (stage "varied").
3. The law of `microgpt.training.expectation` and its error for a text that is left out, from the
   trainings with the chosen settings (stage "rule").

    uv run python bench/fit_choice.py

Takes seconds.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from experience import VARIATIONS, results
from quality_tables import rows

LINEAR = ("size", "shape", "batch", "lr", "dropout", "decay", "context")
PRODUCTS = (
    ("size", "size"), ("shape", "shape"), ("batch", "batch"), ("lr", "lr"), ("size", "lr"),
    ("size", "batch"), ("batch", "lr"), ("size", "budget"), ("batch", "budget"), ("lr", "budget"),
    ("dropout", "passes"), ("dropout", "budget"), ("decay", "decay"), ("context", "context"),
)  # fmt: skip
OPTIMISED = ("size", "shape", "batch", "lr")
RIDGE, OUTLIER, ROUNDS = 0.3, 0.05, 20  # penalty, scale of robust weights, iterations


def main() -> None:
    """Print the three fits."""
    trained = [result for result in results() if result["val_bits"]]
    print(surface([each for each in trained if each["best_step"] >= 0.9 * each["steps"]]))
    for seconds in VARIATIONS:
        print(variations_table(trained, seconds))
    print(law([each for each in trained if each["how"] == "rule"]))


def features(result: dict[str, Any]) -> dict[str, float]:
    """Return the logarithms of the settings of a training run, relative to typical ones."""
    n_tokens = result["batch_size"] * result["length"]
    return {
        "size": math.log(12 * result["n_layer"] * result["n_embd"] ** 2 / 1e5),
        "shape": math.log(result["n_embd"] / result["n_layer"] / 30),
        "batch": math.log(n_tokens / 1000),
        "lr": math.log(result["lr"] / 0.004),
        "decay": math.log(result["weight_decay"] / 0.03),
        "dropout": result["dropout"],
        "context": math.log(result["block_size"] / 128) if result["length"] > 30 else 0.0,
        "budget": math.log(result["seconds"] / 20),
        "passes": math.log(result["steps"] * n_tokens / result["n_tokens"]),
    }


def surface(trained: Sequence[dict[str, Any]]) -> str:
    """Return the effects and the optimum of the response surface."""
    found = list(map(features, trained))
    names = ("text", "share", "seconds")
    groups = [(*map(each.get, names), each["vocab_size"] is None) for each in trained]
    x = np.array(
        [[float(group == each) for each in sorted(set(groups))] for group in groups], float
    )
    n_groups = x.shape[1]
    terms = [*((name,) for name in LINEAR), *PRODUCTS]
    columns = [[math.prod(each[name] for name in term) for each in found] for term in terms]
    x = np.hstack([x, np.array(columns).T])
    y = np.log([each["val_bits"] for each in trained])
    y -= y.mean()
    penalty = np.diag([0.02] * n_groups + [RIDGE] * len(terms))
    weights = np.ones(len(y))
    for _ in range(ROUNDS):
        weighted = x.T * weights
        fitted = np.linalg.solve(weighted @ x + penalty, weighted @ y)
        errors = y - x @ fitted
        weights = 1 / (1 + (errors / OUTLIER) ** 2)
    effects = dict(zip(terms, fitted[n_groups:], strict=True))
    lines = [f"{len(y)} trainings, median error {np.median(abs(errors)):.3f}"]
    lines += [f"{' × '.join(term):18} {effect:+.4f}" for term, effect in effects.items()]
    for seconds in (5, 20, 60, 300):
        lines.append(_optimum(effects, seconds))
    return "\n".join(lines)


def _optimum(effects: dict[tuple[str, ...], float], seconds: float) -> str:
    """Return the settings with the lowest loss on the surface."""
    budget = math.log(seconds / 20)
    gradient = [effects[name,] + effects.get((name, "budget"), 0.0) * budget for name in OPTIMISED]
    products = [
        [effects.get((a, b), effects.get((b, a), 0.0)) for b in OPTIMISED] for a in OPTIMISED
    ]
    curvature = np.array(products) * (1 + np.eye(len(OPTIMISED)))
    size, shape, batch, lr = np.exp(-np.linalg.solve(curvature, gradient))
    width = (1e5 * size / 12 * 30 * shape) ** (1 / 3)
    return (
        f"{seconds} s: width {width:.0f}, {width / 30 / shape:.1f} layers, {1000 * batch:.0f} "
        f"tokens per step, learning rate {0.004 * lr:.4f}"
    )


def variations_table(trained: Sequence[dict[str, Any]], seconds: int) -> str:
    """Return a table of the change of the validation loss by each variation, in percent."""
    varied = [each for each in trained if (each["how"], each["seconds"]) == ("varied", seconds)]
    losses = {(each["text"], each["seed"]): each["val_bits"] for each in varied}
    texts = VARIATIONS[seconds].texts
    lines = [[f"{seconds} s", *texts], ["---", *["---:"] * len(texts)]]
    for number, change in enumerate(VARIATIONS[seconds].changes):
        what = ", ".join(f"{name} {value}" for name, value in change.items())
        found = [losses.get((text, number)) for text in texts]
        if number == 0:
            what = "bits per character"
            cells = ["" if each is None else f"{each:.3f}" for each in found]
        else:
            changes = [
                100 * (loss / losses[text, 0] - 1) if loss and (text, 0) in losses else None
                for text, loss in zip(texts, found, strict=True)
            ]
            cells = ["" if each is None else f"{each:+.1f} %" for each in changes]
        lines.append([what, *cells])
    return rows(lines)


def law(trained: Sequence[dict[str, Any]]) -> str:
    """Return the law of the expected loss, and its error for texts that are left out."""
    x = np.array([
        [1.0, math.log(each["ngram_bits"]), math.log(each["operations"] / 1e13),
         math.log(each["n_characters"] / 1e6)]
        for each in trained
    ])  # fmt: skip
    y = np.log([each["val_bits"] for each in trained])
    texts = np.array([each["text"] for each in trained])
    errors = []
    for text in sorted(set(texts)):
        rest = texts != text
        without, *_ = np.linalg.lstsq(x[rest], y[rest], rcond=None)
        errors += list(y[~rest] - x[~rest] @ without)
    fitted, *_ = np.linalg.lstsq(x, y, rcond=None)
    return (
        f"ln(bits) = {fitted[0]:.3f} + {fitted[1]:.3f} ln(n-gram bits) + {fitted[2]:.4f} "
        f"ln(operations / 1e13) + {fitted[3]:.4f} ln(characters / 1e6); error for a text that was "
        f"left out: {np.std(errors):.3f}, largest {np.max(np.abs(errors)):.3f}"
    )


if __name__ == "__main__":
    main()
