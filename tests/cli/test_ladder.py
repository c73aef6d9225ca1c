import json
import math
import runpy
from functools import cache
from math import log
from pathlib import Path

import numpy as np
import pytest
from commands import ok

from microgpt import CharTokenizer, EvaluationSet, TokenDataset, Value, bundled, load_text, split
from microgpt.errors import DataError
from microgpt_cli.baselines import counted, loss_of
from microgpt_cli.elman import ElmanNetwork
from microgpt_cli.ladder import Ladder, ladder

pytestmark = pytest.mark.compiled

NAMES = load_text(bundled("names.txt"))[:3000]
BUDGET = 5e9  # number of operations; training takes about a second


@cache
def found() -> Ladder:
    return ladder(split(NAMES, validation=0.1, test=0.1), budget=BUDGET)


def test_each_kind_of_model_on_the_ladder_beats_a_simpler_one() -> None:
    rungs = {rung.name: rung for rung in found().rungs}
    uniform, letters, pairs, grams, elman, gpt, more = rungs.values()
    assert uniform.loss == pytest.approx(log(27))  # 26 letters and the end token
    assert uniform.loss > letters.loss > pairs.loss > gpt.loss > more.loss
    assert pairs.loss > max(grams.loss, elman.loss)
    assert grams.name.startswith("best n-grams")


def test_the_elman_network_costs_as_much_as_the_cheaper_gpt() -> None:
    *_, elman, gpt, more = (rung.operations for rung in found().rungs)
    assert elman == gpt < more / 8


def test_each_model_of_the_ladder_continues_the_same_three_texts() -> None:
    tests = split(NAMES, validation=0.1, test=0.1).test
    texts = found().beginnings
    assert [doc[: len(text)] for doc, text in zip(tests[:3], texts, strict=True)] == [*texts]
    for rung in found().rungs:
        assert len(rung.predictions) == 3
        assert all(1 / 27.001 < probability <= 1 for _, probability in rung.predictions)


def test_unigram_loss_is_the_entropy_and_bigram_loss_is_lower() -> None:
    """As a is always followed by b, a bigram model has a lower loss than a unigram model."""
    docs = ["ababab"] * 50
    tokenizer = CharTokenizer.from_documents(docs)
    model_of = counted(docs, tokenizer, "lines")
    scored = EvaluationSet.from_documents(docs[:1], tokenizer, 16, "lines")
    # There are seven predictions: three of a, three of b, and one of the end token.
    expected = -(6 * log(3 / 7) + log(1 / 7)) / 7
    assert loss_of(model_of(1), scored) == pytest.approx(expected, rel=0.01)
    assert loss_of(model_of(2), scored) < 0.5 * expected


def test_a_ladder_without_held_out_documents_is_refused() -> None:
    with pytest.raises(DataError, match="add documents"):
        ladder(split(["anna", "bob"]))


def test_the_ladder_has_the_same_models_as_table_json_and_svg(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    given = ("ladder", "--data", "names.txt", "--budget", "1e9")
    done = ok(microgpt(*given, "--output", "l.svg"))
    head, columns, *rows = done.stdout.splitlines()
    assert "held-out documents of names.txt" in head
    assert columns.split()[:4] == ["nats", "bits", "operations", "seconds"]
    assert rows[0].split()[:4] == ["uniform", "guess", "3.296", "4.755"]
    facts = json.loads(ok(microgpt(*given, "--json")).stdout)
    drawn = (tmp_path / "l.svg").read_text()
    assert all(f">{rung['name']}<" in drawn for rung in facts["rungs"])
    for rung, row in zip(facts["rungs"], rows, strict=False):
        assert row.split(f" {rung['loss']:.3f}")[0].strip() == rung["name"]


def test_the_ladder_of_conversations_or_running_text_has_seven_models(microgpt, tmp_path) -> None:
    talks = [
        [{"role": "user", "content": f"say {name}"}, {"role": "assistant", "content": name}]
        for name in NAMES[:240]
    ]
    (tmp_path / "talks.jsonl").write_text("\n".join(map(json.dumps, talks)))
    (tmp_path / "book.txt").write_text(" ".join(NAMES))
    cheap = ("--budget", "5e8", "--json")
    for given in ("talks.jsonl", "book.txt"):
        facts = json.loads(ok(microgpt("ladder", "--data", given, *cheap)).stdout)
        assert len(facts["rungs"]) == 7


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


def test_the_gradients_of_the_elman_network_agree_with_finite_differences() -> None:
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


def test_the_elman_network_on_arrays_has_the_gradients_of_the_scalar_one() -> None:
    """The loss is the mean over all predictions except those that a mask excludes."""
    weights = values()
    docs, n = TokenDataset(DOCS[1:]), sum(len(doc) - 1 for doc in DOCS[1:]) + sum(MASK)
    docs.append(DOCS[0], MASK)
    losses = [Elman(weights).loss(doc) for doc in DOCS[1:]]
    # The mask selects predictions 2 and 3, whose loss is that of the first three minus the first.
    losses += [Elman(weights).loss(DOCS[0][:4]), -1 * Elman(weights).loss(DOCS[0][:2])]
    for loss in losses:
        ((1 / n) * loss).backward()
    found = network().gradients(docs)
    for name, rows in weights.items():
        expected = [[weight.grad for weight in row] for row in rows]
        # The gradients are below 1; float32 rounds each of a few dozen sums by about 1e-7.
        assert found[name] == pytest.approx(np.array(expected), rel=1e-4, abs=1e-6)


def test_the_elman_network_on_arrays_has_the_probabilities_of_the_scalar_one() -> None:
    """The rows are in the order of the documents, although a batch is computed in parallel."""
    reference, expected = Elman(floats()), []
    for doc in DOCS:
        memory = [0.0] * H
        for token in doc[:-1]:
            memory = reference.forward(token, memory)
            exps = [math.exp(logit) for logit in reference.logits(memory)]
            expected.append([each / sum(exps) for each in exps])
    found = network().probabilities(TokenDataset(DOCS))
    assert found == pytest.approx(np.array(expected), rel=1e-5)


def test_the_first_adam_step_moves_each_weight_by_the_learning_rate() -> None:
    """Adam's first step divides the gradient by its absolute value, so only the sign counts."""
    one = ElmanNetwork(H, V, np.random.default_rng(1))
    before = one.weights["bias"].copy()
    one.update({"bias": np.array([[0.1, -0.3, 0.2, -0.1]], np.float32)}, lr=0.01)
    expected = 0.01 * np.array([[-1, 1, -1, 1]])
    assert one.weights["bias"] - before == pytest.approx(expected, rel=1e-4)
