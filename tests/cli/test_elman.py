"""The Elman network: its gradients by finite differences, and the arrays by its reference."""

import math
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from microgpt import TokenDataset, Value
from microgpt_cli.elman import ElmanNetwork

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples/elman.py"))
Elman = EXAMPLE["Elman"]
V, H = 5, 4
DOCS = [[0, 1, 2, 3, 0], [0, 4, 0], [0, 2, 2, 2, 1, 1, 0]]
MASK = bytes([0, 0, 1, 1, 0])


@cache
def network() -> ElmanNetwork:
    return ElmanNetwork(H, V, np.random.default_rng(1))


def floats() -> dict[str, list[list[float]]]:
    return {name: rows.tolist() for name, rows in network().weights.items()}


def values() -> dict[str, list[list[Value]]]:
    return {name: [[Value(x) for x in row] for row in rows] for name, rows in floats().items()}


def test_the_reference_has_the_gradients_of_finite_differences() -> None:
    weights, numbers, eps = values(), floats(), 1e-5
    Elman(weights).loss(DOCS[0]).backward()
    for name, rows in numbers.items():
        row, losses = rows[-1], []
        for sign in (1, -1):
            row[-2] += sign * eps
            losses.append(Elman(numbers).loss(DOCS[0]))
            row[-2] -= sign * eps
        slope = (losses[0] - losses[1]) / (2 * eps)
        assert weights[name][-1][-2].grad == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_the_arrays_have_the_gradients_of_the_reference() -> None:
    """They are those of the mean over all predictions that count, of documents with a mask, too."""
    weights = values()
    docs, n = TokenDataset(DOCS[1:]), sum(len(doc) - 1 for doc in DOCS[1:]) + sum(MASK)
    docs.append(DOCS[0], MASK)
    losses = [Elman(weights).loss(doc) for doc in DOCS[1:]]
    # The mask leaves the second and the third prediction.
    losses += [Elman(weights).loss(DOCS[0][:4]), -1 * Elman(weights).loss(DOCS[0][:2])]
    for loss in losses:
        ((1 / n) * loss).backward()
    found = network().gradients(docs)
    for name, rows in weights.items():
        expected = [[weight.grad for weight in row] for row in rows]
        # Float32 rounds each of some dozen sums to about 1e-7 of gradients below 1.
        assert found[name] == pytest.approx(np.array(expected), rel=1e-4, abs=1e-6)


def test_the_arrays_have_the_probabilities_of_the_reference() -> None:
    """The rows are in the order of the documents, which are not read in this order."""
    reference, expected = Elman(floats()), []
    for doc in DOCS:
        memory = [0.0] * H
        for token in doc[:-1]:
            memory = reference.forward(token, memory)
            exps = [math.exp(logit) for logit in reference.logits(memory)]
            expected.append([each / sum(exps) for each in exps])
    found = network().probabilities(TokenDataset(DOCS))
    assert found == pytest.approx(np.array(expected), rel=1e-5)


def test_the_first_step_of_adam_has_the_size_of_the_rate() -> None:
    """Its two means are the gradient and its square, so the step is the gradient's sign."""
    one = ElmanNetwork(H, V, np.random.default_rng(1))
    before = one.weights["bias"].copy()
    one.update({"bias": np.array([[0.1, -0.3, 0.2, -0.1]], np.float32)}, lr=0.01)
    assert one.weights["bias"] - before == pytest.approx(
        0.01 * np.array([[-1, 1, -1, 1]]), rel=1e-4
    )
