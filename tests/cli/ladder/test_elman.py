"""The Elman network: its gradients by finite differences, and the arrays by its reference."""

import math
from functools import cache

import numpy as np
import pytest

from microgpt import TokenDataset, Value
from microgpt_cli.ladder.elman import Elman, elman_shapes, tanh
from microgpt_cli.ladder.fast_elman import Adam, FastElman

V, H = 5, 4
DOCS = [[0, 1, 2, 3, 0], [0, 4, 0], [0, 2, 2, 2, 1, 1, 0]]
MASK = bytes([0, 0, 1, 1, 0])


@cache
def fast() -> FastElman:
    return FastElman.drawn(H, V, np.random.default_rng(1))


def values() -> dict[str, list[list[Value]]]:
    weights = fast().weights
    return {name: [[Value(float(x)) for x in row] for row in weights[name]] for name in weights}


def test_the_reference_has_the_gradients_of_finite_differences() -> None:
    weights = values()
    Elman(weights).loss(DOCS[0]).backward()
    floats = {name: [[w.data for w in row] for row in rows] for name, rows in weights.items()}
    eps = 1e-5
    for name, (rows, columns) in elman_shapes(H, V).items():
        row, column = rows - 1, columns - 2
        losses = []
        for sign in (1, -1):
            floats[name][row][column] += sign * eps
            losses.append(Elman(floats).loss(DOCS[0]))
            floats[name][row][column] -= sign * eps
        slope = (losses[0] - losses[1]) / (2 * eps)
        assert weights[name][row][column].grad == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_the_arrays_have_the_gradients_of_the_reference() -> None:
    """A mean over all predictions that count: the documents together, and one with a mask."""
    weights = values()
    docs, n = TokenDataset(DOCS[1:]), sum(len(doc) - 1 for doc in DOCS[1:]) + sum(MASK)
    docs.append(DOCS[0], MASK)
    network = Elman(weights)
    losses = [network.loss(doc) for doc in DOCS[1:]]
    # The mask leaves the predictions of two tokens: those up to the fourth without the first.
    losses += [network.loss(DOCS[0][:4]), -1 * network.loss(DOCS[0][:2])]
    for loss in losses:
        ((1 / n) * loss).backward()
    found = fast().gradients(docs)
    assert fast().nll(docs) == pytest.approx(sum(loss.data for loss in losses), rel=1e-5)
    for name, rows in weights.items():
        expected = [[weight.grad for weight in row] for row in rows]
        # Float32 rounds each of some dozen sums to about 1e-7 of gradients below 1.
        assert found[name] == pytest.approx(np.array(expected), rel=1e-4, abs=1e-6)


def test_the_next_token_has_the_probabilities_of_the_reference() -> None:
    network = Elman({name: rows.tolist() for name, rows in fast().weights.items()})
    memory = [0.0] * H
    for token in DOCS[0]:
        memory = network.forward(token, memory)
    exps = [math.exp(logit) for logit in network.logits(memory)]
    expected = [each / sum(exps) for each in exps]
    assert fast().next_token(DOCS[0]) == pytest.approx(np.array(expected), rel=1e-5)


def test_tanh_agrees_with_the_standard_library() -> None:
    assert [tanh(x) for x in (-20.0, -0.5, 0.0, 3.0)] == pytest.approx(
        [math.tanh(x) for x in (-20.0, -0.5, 0.0, 3.0)], abs=1e-15
    )


def test_the_first_step_of_adam_has_the_size_of_the_rate() -> None:
    """Its two means are the gradient and its square, so the step is the gradient's sign."""
    weights = {"w": np.array([[1.0, -2.0]], np.float32)}
    Adam(weights).update({"w": np.array([[0.1, -0.3]], np.float32)}, lr=0.01)
    assert weights["w"] == pytest.approx(np.array([[0.99, -1.99]]), rel=1e-4)
