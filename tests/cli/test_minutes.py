import json
import random
from pathlib import Path

import pytest
from commands import ok
from trainings import made_up_names, weights
from trainings import training_of as training

BUDGET = ("--budget", "2e9", "-n", "0")  # under a second
NAMES = made_up_names(400)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with names and a book."""
    rng = random.Random(0)
    paragraphs = [" ".join(rng.choices(NAMES, k=30)) for _ in range(60)]
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    return tmp_path


def notes(done) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def test_train_prints_the_chosen_settings_and_reasons(microgpt, folder) -> None:
    done = microgpt("train", "--data", "names.txt", *BUDGET, "--model", "a")
    chosen, why = notes(done)[:2]
    assert chosen.startswith("note: 2e9 operations: 2 layers of width 16, context 16, ")
    assert why.startswith("note: why: ")
    assert " characters in " in why


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a single document", "by default: too few documents (1)"),
        ("the same line\n" * 300, "by default: too few distinct documents (1)"),
        ("\n".join("ab " * 3000 for _ in range(3)) + "\nc" * 20, "longer than the block size"),
    ],
    ids=["one document", "all equal", "long lines"],
)
def test_train_accepts_small_and_unusual_data(microgpt, folder, content, said) -> None:
    (folder / "odd.txt").write_text(content)
    done = ok(microgpt("train", "--data", "odd.txt", "--budget", "2e10", "-n", "1", "--model", "a"))
    assert said in done.stderr
    assert done.stderr.count("too few") <= 1
    assert "sample  1: " in done.stdout


def test_train_says_that_a_text_is_too_short_for_the_budget(microgpt, folder, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_USEFUL", 1e8)
    (folder / "odd.txt").write_text("a single document")
    done = microgpt("train", "--data", "odd.txt", "--budget", "4e9", "--model", "a")
    assert "the data are too small for 4e9 operations, so training ends early" in done.stderr


@pytest.mark.slow
def test_a_run_limited_by_minutes_records_its_budget(microgpt, folder) -> None:
    data = ("--data", "book.txt", "-n", "0")
    done = ok(microgpt("train", *data, "--minutes", "0.04", "--model", "a", "--json"))
    facts = training(folder / "a")
    assert facts["minutes"] == 0.04
    assert facts["budget"] == float(f"{facts['budget']:.4g}") == json.loads(done.stdout)["budget"]
    assert " times in about " in notes(done)[1]
    microgpt("train", *data, "--budget", f"{facts['budget']}", "--model", "c")
    planned = training(folder / "c")
    is_shortened = any(  # on a busy machine, by steps or by a teacher
        facts.get(name) != planned.get(name) for name in ("steps", "legs", "teachers")
    )
    assert is_shortened or weights(folder / "a") == weights(folder / "c")
