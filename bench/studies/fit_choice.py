"""Which rule for the settings, and which law of the loss, follow from the training runs?

The optima and the law of docs/measurements/choice.md.

    uv run python bench/study.py fit_choice

Three fits to the validation losses of experience.py:

1. A response surface (Box & Wilson 1951): the logarithm of the loss is a constant for each text,
   share and budget, plus a quadratic polynomial of the logarithms of the block weights, the width
   per layer, the tokens per step and the learning rate, whose optimum may move with the budget.
   Training runs whose loss rose at the end are left out, and outliers have less weight. The optimum
   by budget is what `microgpt.training.choice` rounds.
2. The change of the loss if one setting changes (stage "varied").
3. The law of `microgpt.training.choice` and its error for a text that is left out, from the
   training runs with the chosen settings (stage "rule").
"""

import json
import math
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import numpy as np
from studies.experience import RESULTS, results
from studies.stages import VARIATIONS, variations_table
from studies.texts import TEXTS
from tables import rows

LINEAR = ("size", "shape", "batch", "lr", "dropout", "decay", "context")
PRODUCTS = (
    ("size", "size"), ("shape", "shape"), ("batch", "batch"), ("lr", "lr"), ("size", "lr"),
    ("size", "batch"), ("batch", "lr"), ("size", "budget"), ("batch", "budget"), ("lr", "budget"),
    ("dropout", "passes"), ("dropout", "budget"), ("decay", "decay"), ("context", "context"),
)  # fmt: skip
OPTIMISED = ("size", "shape", "batch", "lr")
STORED, FITTED = "choice", RESULTS.with_name("choice.json")
RIDGE, OUTLIER, ROUNDS = 0.3, 0.05, 20  # penalty, scale of robust weights, iterations


def measure(options: Namespace) -> None:
    """Print the three fits and write the first and the last to bench/results."""
    trained = [each for each in results() if each["val_bits"] and is_in_fit(each)]
    found = {
        "surface": surface(
            [
                each
                for each in trained
                if each["how"] != "rule" and each["best_step"] >= 0.9 * each["steps"]
            ]
        ),
        "law": law([each for each in trained if each["how"] == "rule"]),
    }
    print(json.dumps(found, indent=1))
    for seconds in VARIATIONS:
        print(variations_table(trained, seconds))
    FITTED.write_text(json.dumps(found, indent=1) + "\n")


def is_in_fit(result: dict[str, Any]) -> bool:
    """Return whether a result is not one of the random settings that minutes.py compares with."""
    is_compared = result["how"] == "random" and result["seconds"] >= 60
    return TEXTS[result["text"]].in_fit and not is_compared


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


def surface(trained: Sequence[dict[str, Any]]) -> dict[str, Any]:
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
    return {
        "n_trainings": len(y),
        "median_error": float(np.median(abs(errors))),
        "effects": {" × ".join(term): float(effect) for term, effect in effects.items()},
        "optima": [optimum(effects, seconds) for seconds in (5, 20, 60, 300)],
    }


def optimum(effects: dict[tuple[str, ...], float], seconds: int) -> dict[str, float]:
    """Return the settings with the lowest loss on the surface."""
    budget = math.log(seconds / 20)
    gradient = [effects[name,] + effects.get((name, "budget"), 0.0) * budget for name in OPTIMISED]
    products = [
        [effects.get((a, b), effects.get((b, a), 0.0)) for b in OPTIMISED] for a in OPTIMISED
    ]
    curvature = np.array(products) * (1 + np.eye(len(OPTIMISED)))
    size, shape, batch, lr = np.exp(-np.linalg.solve(curvature, gradient)).tolist()
    width = (1e5 * size / 12 * 30 * shape) ** (1 / 3)
    return {
        "seconds": seconds,
        "width": width,
        "layers": width / 30 / shape,
        "tokens": 1000 * batch,
        "lr": 0.004 * lr,
    }


def law(trained: Sequence[dict[str, Any]]) -> dict[str, Any]:
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
    names = ("constant", "ngram_bits", "operations", "characters")
    return {
        "n_trainings": len(y),
        "coefficients": dict(zip(names, fitted.tolist(), strict=True)),
        "error": float(np.std(errors)),  # of texts that are left out
        "largest_error": float(np.max(np.abs(errors))),
    }


def surface_table(choice: dict, *_: dict) -> str:
    """Return a table of the optimum of the response surface by budget."""
    lines = [["seconds", "width", "layers", "tokens per step", "learning rate"]]
    lines.append(["---:"] * 5)
    for each in choice["surface"]["optima"]:
        lines.append([
            str(each["seconds"]), f"{each['width']:.0f}", f"{each['layers']:.1f}",
            f"{each['tokens']:,.0f}", f"{each['lr']:.4f}",
        ])  # fmt: skip
    n, error = choice["surface"]["n_trainings"], 100 * choice["surface"]["median_error"]
    note = (
        f"Fitted to {n} training runs whose loss did not rise; the median error is {error:.1f} %."
    )
    return f"{rows(lines)}\n\n{note}"


def law_text(choice: dict, *_: dict) -> str:
    """Return the law of the expected loss as text."""
    law = choice["law"]
    factors = law["coefficients"]
    return (
        f"bits = {math.exp(factors['constant']):.3f} · (n-gram bits)^{factors['ngram_bits']:.3f} · "
        f"(operations / 10¹³)^{factors['operations']:.3f} · "
        f"(characters / 10⁶)^{factors['characters']:.3f}\n\n"
        f"Fitted to {law['n_trainings']} training runs. The error for a text that is left out "
        f"has a standard deviation of {100 * law['error']:.1f} % and is at most "
        f"{100 * law['largest_error']:.0f} %."
    )


TABLES = {"choice_surface": surface_table, "choice_law": law_text}
