"""`microgpt train --without`."""

import json
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt import load

NAMES = [a + b + c for a in ("em", "an", "li", "mo") for b in "mnlr" for c in ("a", "y", "ie")]
SMALL = ("--data=names.txt", "--steps=40", "--n-embd=8", "--n-head=2")


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A training file, of which a quarter begins with em."""
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    return tmp_path


def test_train_says_how_many_documents_it_leaves_out(microgpt, names) -> None:
    done = ok(microgpt("train", *SMALL, "--without=^em", "--model=b", "--novel"))
    assert "note: left out 12 of 48 documents\n" in done.stderr
    assert "num docs: 48\n" in done.stdout
    assert "without:       ^em\n" in ok(microgpt("info", "b")).stdout
    assert load(names / "b").meta.training["without"] == "^em"


def test_repetitions_and_engines_leave_out_the_same_documents(microgpt, names) -> None:
    options = (*SMALL, "--without=^em", "--val-fraction=0.2")
    ok(microgpt("train", *options, "--model=b"))
    done = ok(microgpt("train", "--repeat=b", "--model=again"))
    assert "identical to those in b" in done.stderr
    options = (*options, "--n-layer=1", "--batch-size=2", "--lr=0.01")
    ok(microgpt("train", *options, "--engine=reference", "--model=slow"))
    ok(microgpt("train", *options, "--dtype=float64", "--model=fast"))
    slow, fast = (load(names / name).weights for name in ("slow", "fast"))
    for name, rows in slow.items():
        for row, other in zip(rows, fast[name], strict=True):
            assert row == pytest.approx(other, abs=1e-12)


def test_a_repeated_run_can_leave_documents_out(microgpt, names) -> None:
    ok(microgpt("train", *SMALL, "--model=a"))
    ok(microgpt("train", *SMALL, "--without=^em", "--model=b"))
    done = ok(microgpt("train", "--repeat=a", "--without=^em", "--model=c"))
    assert "the weights" not in done.stderr
    assert load(names / "c").weights == load(names / "b").weights != load(names / "a").weights


def test_a_resumed_run_still_leaves_the_documents_out(microgpt, names) -> None:
    ok(microgpt("train", *SMALL, "--without=^em", "--model=b"))
    problem = "--without is ^an, but the run to resume has ^em; omit --without"
    assert refused(microgpt("train", "--resume=b", "--without=^an")) == problem
    longer = ok(microgpt("train", "--resume=b", "--without=^em", "--steps=50"))
    assert "left out 12 of 48 documents" in longer.stderr


def test_documents_that_were_left_out_are_not_training_data(microgpt, names) -> None:
    ok(microgpt("train", *SMALL, "--without=^em", "--model=b"))
    (names / "some.txt").write_text("emma\nanna\n")
    assert (
        "50.0% of this text is training data" in ok(microgpt("eval", "b", "--data=some.txt")).stderr
    )


@pytest.mark.parametrize(
    ("pattern", "options", "problem"),
    [
        ("(", (), "'(' is not a regular expression: missing )"),
        ("zzz", (), "'zzz' to leave out is found in no training document"),
        ("", (), "'' to leave out is found in every training document"),
        ("a", ("--text=stream",), "--without cannot be used with --text stream"),
    ],
)
def test_a_pattern_matching_no_or_all_documents_is_refused(
    microgpt, names, pattern, options, problem
) -> None:
    assert problem in refused(microgpt("train", *SMALL, f"--without={pattern}", *options))
    assert not (names / "output").exists()


def test_all_models_of_an_ensemble_leave_the_documents_out(microgpt, names) -> None:
    shape = ("--n-embd=8", "--n-head=2", "--n-layer=1", "--batch-size=4")
    options = ("--preset=names-60s", "--data=names.txt", "--steps=12", *shape, "-n0")
    for name, more in {"a": (), "b": ("--without=^em",), "seed": ("--seed=43",)}.items():
        ok(microgpt("train", *options, *more, f"--model={name}"))
    ok(microgpt("train", "--repeat=a", "--without=^em", "--model=c"))
    assert load(names / "c").weights == load(names / "b").weights != load(names / "a").weights
    assert load(names / "b").meta.training["ensemble"]["n_teachers"] == 3
    done = ok(microgpt("why", "a", "emma", "--groups=1", "--seeds=1", "--json"))
    other = ok(microgpt("compare", "seed", "a", "emma", "--json"))
    seeds = json.loads(done.stdout)["seeds"]
    assert seeds == pytest.approx([json.loads(other.stdout)["a"]["bits"]], abs=1e-4)
