import json
import re
import shutil
import signal
import time
from pathlib import Path
from subprocess import CompletedProcess

import commands
import pytest
from commands import ok, refused
from searches import contents, run_of, write_names

from microgpt import InferenceGpt, load, load_text
from microgpt.data.documents import bundled
from microgpt.data.split import split
from microgpt_evolution.objectives import rung_objective

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("undrawn", "made_up_names")]

SEARCH = ("--budget", "2e9", "--seed", "7", "--workers", "2")


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> tuple[Path, CompletedProcess[str]]:
    """A directory in which a search has trained its winner, and the completed process."""
    folder = tmp_path_factory.mktemp("searched")
    write_names(folder)
    search = ("evolve", *SEARCH, "--train-winner", "winner")
    return folder, commands.run(*search, cwd=folder, check=True)


def test_a_search_reports_the_test_loss_of_its_final_model(searched) -> None:
    folder, winner = searched
    model, docs = load(folder / "winner"), load_text(folder / "names.txt")
    facts = model.meta.training
    parts = split(docs, validation=facts["val_fraction"], test=facts["test_fraction"])
    tested = InferenceGpt(model).evaluate(parts.test).loss
    assert facts["test_loss"] == pytest.approx(tested, rel=1e-6)
    loss = f"{tested:.4f} nats per character"
    assert re.findall("test.*", winner.stdout, re.IGNORECASE) == [f"Test loss: {loss}"]
    page = (run_of(folder) / "report.html").read_text()
    assert f"<dt>winner, test loss</dt><dd>{loss}</dd>" in page


def test_a_budgeted_winner_can_be_trained_again_but_not_run(microgpt, tmp_path, searched) -> None:
    folder, winner = searched
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert " saved to genome.json" in winner.stdout
    genome = json.loads((tmp_path / "genome.json").read_text())
    assert (genome["version"], genome["seed"], genome["budget"]) == (4, 7, 2e9)
    (steps,) = re.findall(r"of ([\d,]+) steps: best", winner.stdout)
    assert "with a budget; train it with: microgpt train --genome gen" in refused(microgpt("run"))
    ok(microgpt("generate", "--model", "winner"))
    assert "unfinished" not in ok(microgpt("list")).stdout
    ok(microgpt("train", "--genome", "genome.json", "--model", "again"))
    model, again = (load(tmp_path / name).meta for name in ("winner", "again"))
    assert f"{again.training['steps']:,}" == steps
    assert again.training["budget"] == genome["operations"]
    for key in ("batch_size", "warmup_steps", "evaluations", "baselines"):
        assert again.training.get(key) == model.training.get(key)
    assert again.n_embd == model.n_embd
    ok(microgpt("train", "--genome", "genome.json", "--budget", "2e9", "--model", "longer"))
    shutil.rmtree(tmp_path / "winner")
    ok(microgpt("evolve", "--resume", run_of(tmp_path), "--train-winner", "other", "--force"))
    assert load(tmp_path / "other").weights == load(folder / "winner").weights
    assert not (tmp_path / "winner").exists()


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_search_with_a_budget_resumes_to_the_same_result(
    microgpt, tmp_path, searched, stopped_in, stop
) -> None:
    files = ("genome.json", "winner/weights.json")
    expected = [(searched[0] / name).read_bytes() for name in files]
    search = ("evolve", *SEARCH, "--train-winner", "winner")
    if stop == signal.SIGINT:
        with stopped_in(4, stop, rung_objective):
            done = microgpt(*search)
        assert done.returncode == 130
        assert "resume with: microgpt evolve --resume" in done.stderr
        assert not (tmp_path / "genome.json").exists()
    else:
        with commands.running(["microgpt", *search], cwd=tmp_path) as process:
            while sum(p.read_bytes().count(b"\n") for p in tmp_path.glob("*/*/trials.jsonl")) < 2:
                assert process.poll() is None
                time.sleep(0.01)
    ok(microgpt("evolve", "--resume", str(run_of(tmp_path)), "--workers", "1"))
    assert [(tmp_path / name).read_bytes() for name in files] == expected


@pytest.mark.slow
def test_train_holds_out_the_same_running_text_as_the_search(microgpt, tmp_path) -> None:
    text = bundled("shakespeare.txt").read_text(encoding="utf-8")
    (tmp_path / "book.txt").write_text(text[:40_000])
    book = ("--data", "book.txt", "--text", "stream")
    ok(microgpt("evolve", *book[:2], "--budget", "3e10", "--train-winner", "winner"))
    assert json.loads((tmp_path / "genome.json").read_text())["gap"] == 256
    ok(microgpt("train", *book, "--genome", "genome.json"))
    winner, again = (load(tmp_path / name).meta.training for name in ("winner", "output"))
    parts = ("val_fraction", "test_fraction", "gap")
    assert [again[key] for key in parts] == [winner[key] for key in parts]


def test_a_search_ends_with_a_student_and_is_not_extended(microgpt, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_USEFUL", 1e9)
    names = Path(__file__).parents[3] / "data" / "names.txt"
    small = tmp_path / "small.txt"
    small.write_text("".join(names.read_text().splitlines(keepends=True)[:60]))
    search = ("evolve", "--data", "small.txt", "--budget", "1.4e10", "--train-winner", "model")
    done = ok(microgpt(*search))
    assert "Student: held-out loss" in done.stdout
    assert done.stdout.lower().count("test") == 1  # only the final model has a test loss
    assert microgpt("generate", "--model", "model").returncode == 0
    before, run = contents(tmp_path), ("evolve", "--resume", str(run_of(tmp_path)))
    assert "so nothing changed" in ok(microgpt(*run)).stderr
    assert contents(tmp_path) == before
    for limit in (("--budget", "1.6e10"), ("--minutes", "1")):
        assert f"{limit[0]} cannot be used with --resume" in refused(microgpt(*run, *limit))
