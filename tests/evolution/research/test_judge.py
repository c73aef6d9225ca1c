"""Tests that experiments which break a rule are stopped, or refused by the judge."""

import re
from pathlib import Path

import pytest
from searches import PARTS as SETS

from microgpt import bundled
from microgpt_evolution.research.judge import Judge

EXAMPLE = (Path(__file__).parents[3] / "examples/research/experiment.py").read_text()
BEGIN = "    tokenizer = char_tokenizer(docs)\n"
END = "return train("


def with_line(line: str) -> str:
    """Return the example program, with a line added at the start of its function `experiment`."""
    return EXAMPLE.replace(BEGIN, f"    {line}\n{BEGIN}")


@pytest.fixture(scope="module")
def judge():
    """A judge that trains and evaluates small models."""
    return Judge(SETS, 1e7)


@pytest.mark.slow
def test_experiments_are_reproducible_by_seed_and_use_the_budget(judge) -> None:
    first, again, other = (judge.measure(EXAMPLE, seed, "validation") for seed in (1, 1, 2))
    assert first[0].is_ok
    assert first == again
    assert first[0].fitness != other[0].fitness
    assert 0.5e7 < first[1] <= 1e7


@pytest.mark.slow
def test_an_experiment_with_its_own_training_loop_is_scored(judge) -> None:
    own = EXAMPLE.replace("train,\n", "train, TrainedModel,\n", 1).replace(END, "r = train(")
    own += "    return TrainedModel(r.model, r.weights, r.tokenizer, r.dtype)\n"
    found, usual = (judge.measure(code, 1, "validation") for code in (own, EXAMPLE))
    assert found == (usual[0], 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        'print("loss 0.0\\n0.0", flush=True)',
        "import sys; print('loss 0.0', file=sys.stderr)",
        "import microgpt; microgpt.split = microgpt.load = microgpt.InferenceGpt.evaluate = None",
    ],
)
def test_an_experiment_cannot_change_its_loss_by_printing_or_patching(judge, line) -> None:
    changed = judge.measure(with_line(line), 1, "validation")
    assert changed == judge.measure(EXAMPLE, 1, "validation")


@pytest.mark.slow
def test_an_experiment_that_does_not_end_is_stopped() -> None:
    found, _ = Judge(SETS, 1e7, 1.5).measure("while True: pass", 1, "validation")
    assert "still running after 1.5 seconds" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def experiment(:", "line 1: SyntaxError"),
        ("lr = 1", "has no attribute 'experiment'"),
        (with_line("docs = docs[:-1]"), "data_sha256 is [0-9a-f]+, not [0-9a-f]+; train"),
        (with_line("seed = 1"), "seed is 1, not 7; train"),
        (with_line("operations *= 2"), "operations, but may use"),
        (with_line("1 / 0"), "ZeroDivisionError"),
        (with_line("raise SystemExit(0)"), "ended without a model"),
        (EXAMPLE.replace('"lr": 0.01', '"lr": 1e30, "adam_eps": 1e-30'), "Diverged|must be"),
        (EXAMPLE.replace(END, "return str("), "TypeError"),
        (EXAMPLE.replace(END, "train(") + "    return 0.0\n", "not float"),
    ],
)
def test_a_failed_experiment_is_explained_in_one_line(judge, code, problem) -> None:
    found, _ = judge.measure(code, 7, "validation")
    assert found.status == "crashed"
    assert "\n" not in found.reason
    assert re.search(problem, found.reason)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("from microgpt_evolution.research import judge", "imported the judge"),
        ("open('../names.txt')", "opened .*names.txt"),
        (f"random._os.open({str(bundled('names.txt'))!r}, 0)", "opened .*names.txt"),
        ("random._os.open('/proc/self/root/etc/passwd', 0)", "opened /proc/self/root"),
        ("random._os.open('/etc/passwd', 0)", "opened /etc/passwd"),
        ("random._os.remove('../x')", "opened .*x"),
        ("random._os.system('true')", "called os.system"),
        ("random._os.fork()", "called os.fork"),
        ("random._os.symlink('x', 'y')", "called os.symlink"),
        ("random._os.kill(1, 0)", "called os.kill"),
    ],
)
def test_an_experiment_may_use_only_its_directory_and_documents(judge, line, problem) -> None:
    code = with_line(line).replace("from collections", "import random\nfrom collections", 1)
    reason = judge.measure(code, 7, "validation")[0].reason
    assert re.search(problem, reason)
    assert "may use its own directory and the documents" in reason
