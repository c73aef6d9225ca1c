import json
import re
import shutil
import signal
import time
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from commands import ok, refused
from searches import evaluations_of, run_of

from microgpt import InferenceGpt, load, load_text
from microgpt.data.split import split

pytestmark = pytest.mark.usefixtures("made_up_names")

SEARCH = ("--budget", "2e9", "--seed", "7", "--workers", "2")


@pytest.fixture
def winner(microgpt, tmp_path):
    return ok(microgpt("evolve", *SEARCH, "--train-winner", "winner"))


def test_the_winner_of_a_budgeted_search_can_be_trained(microgpt, tmp_path, winner) -> None:
    assert " saved to genome.json" in winner.stdout
    genome = json.loads((tmp_path / "genome.json").read_text())
    assert (genome["version"], genome["seed"], genome["budget"]) == (3, 7, 2e9)
    (steps,) = re.findall(r"of ([\d,]+) steps: held-out", winner.stdout)
    steps = int(steps.replace(",", ""))
    assert refused(microgpt("run")) == (
        "genome.json is from a search with a budget; train it with: microgpt train --genome "
        "genome.json"
    )
    assert microgpt("generate", "--model", "winner").returncode == 0
    model = json.loads((tmp_path / "winner" / "meta.json").read_text())
    assert model["training"]["genome"]
    assert model["training"]["test_loss"]
    ok(microgpt("train", "--genome", "genome.json", "--model", "again"))
    again = json.loads((tmp_path / "again" / "meta.json").read_text())
    assert again["training"]["steps"] == steps
    assert again["training"]["budget"] == genome["operations"]
    for key in ("steps", "batch_size", "warmup_steps", "evaluations"):
        assert again["training"].get(key) == model["training"].get(key)
    assert again["n_embd"] == model["n_embd"]
    ok(microgpt("train", "--genome", "genome.json", "--budget", "2e9", "--model", "longer"))


def test_a_search_says_if_one_training_run_should_do_better(microgpt, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_USEFUL", 1e10)
    done = ok(microgpt("evolve", "--budget", "2e9"))
    assert "a single training run of this length is expected to give a better" in done.stderr


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_budgeted_search_resumes_to_the_same_result(
    microgpt, tmp_path, winner, stop
) -> None:
    files = ("genome.json", "winner/weights.json")
    expected = [(tmp_path / name).read_bytes() for name in files]
    shutil.rmtree(tmp_path / "experiments")
    shutil.rmtree(tmp_path / "winner")
    (tmp_path / "genome.json").unlink()
    command = ["microgpt", "evolve", *SEARCH, "--train-winner", "winner"]
    process = Popen(command, cwd=tmp_path, stdout=PIPE, stderr=PIPE, text=True)
    while n_recorded(tmp_path) < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(stop)
    output, errors = process.communicate(timeout=60)
    if stop == signal.SIGINT:  # leaves the best so far
        assert process.returncode == 130
        assert "resume with: microgpt evolve --resume" in errors
        assert (tmp_path / "genome.json").exists()
        assert microgpt("generate", "--model", "winner").returncode == 0
        assert "held-out loss" in output
        assert "test" not in output.lower()  # the search goes on
        assert "test_loss" not in load(tmp_path / "winner").meta.training
    resume = ("evolve", "--resume", str(run_of(tmp_path)), "--workers", "1")
    ok(microgpt(*resume))
    assert [(tmp_path / name).read_bytes() for name in files] == expected
    shutil.rmtree(tmp_path / "winner")
    assert microgpt(*resume, "--train-winner", "other", "--force").returncode == 0
    assert (tmp_path / "other" / "weights.json").read_bytes() == expected[1]
    assert not (tmp_path / "winner").exists()


def test_a_resumed_search_does_not_replace_an_unrelated_model(microgpt, tmp_path, winner) -> None:
    shutil.rmtree(tmp_path / "winner")
    assert microgpt("train", "--steps", "10", "--model", "winner").returncode == 0
    before = (tmp_path / "winner" / "meta.json").read_bytes()
    assert "use another directory with --train-winner" in refused(
        microgpt("evolve", "--resume", str(run_of(tmp_path)))
    )
    assert (tmp_path / "winner" / "meta.json").read_bytes() == before
    assert "--seed cannot be used with the run to resume; omit one of them" in refused(
        microgpt("evolve", "--resume", str(run_of(tmp_path)), "--seed", "9")
    )


def test_the_test_loss_is_measured_only_for_the_saved_model(tmp_path, winner) -> None:
    saved = load(tmp_path / "winner")
    facts = saved.meta.training
    docs = load_text(tmp_path / "data" / "names.txt")
    parts = split(docs, validation=facts["val_fraction"], test=facts["test_fraction"])
    expected = InferenceGpt(saved).evaluate(parts.test).loss
    assert facts["test_loss"] == pytest.approx(expected, rel=1e-6)
    assert re.findall("test.*", winner.stdout, re.IGNORECASE) == [
        f"Test loss: {expected:.4f} nats per character"
    ]


@pytest.mark.slow
def test_a_search_of_running_text_records_its_gap(microgpt, tmp_path) -> None:
    (tmp_path / "space.toml").write_text(
        "[values]\nvocab_size = [270]\nlr = [0.001, 0.002, 0.004, 0.008]\nn_embd = [8, 16]"
    )
    words = (f"the {a}{b} of {c}{a}" for a in "ab" * 15 for b in "cdefg" for c in "hijklmnopq" * 2)
    (tmp_path / "book.txt").write_text("\n".join(words))
    book = ("--data", "book.txt", "--text", "stream")
    space = ("--space", "space.toml", "--train-winner", "winner")
    ok(microgpt("evolve", *book, "--budget", "3e10", *space))
    assert json.loads((tmp_path / "genome.json").read_text())["gap"] == 256
    ok(microgpt("train", *book, "--genome", "genome.json"))
    winner, again = (load(tmp_path / name).meta.training for name in ("winner", "output"))
    parts = ("val_fraction", "test_fraction", "gap")
    assert [again[key] for key in parts] == [winner[key] for key in parts]


def n_recorded(folder: Path) -> int:
    """Return the number of rungs that are recorded."""
    paths = (folder / "experiments").glob("*/evaluations.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in paths)


def test_a_warm_start_requires_a_genome_of_the_same_kind(microgpt, tmp_path, winner) -> None:
    shutil.copy(tmp_path / "genome.json", tmp_path / "old.json")
    ok(microgpt("evolve", *SEARCH, "--warm-start", "old.json"))
    assert "is from a search with a budget; add --minutes or --budget" in refused(
        microgpt("evolve", "--warm-start", "old.json")
    )


def test_the_best_models_can_teach_a_student(microgpt, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_USEFUL", 1e10)
    names = Path(__file__).parents[3] / "data" / "names.txt"
    small = tmp_path / "small.txt"
    small.write_text("".join(names.read_text().splitlines(keepends=True)[:300]))
    search = ("evolve", "--data", "small.txt", "--budget", "2e11", "--train-winner", "model")
    done = ok(microgpt(*search))
    assert "Student: held-out loss" in done.stdout
    assert done.stdout.lower().count("test") == 1  # not that of the winner and of its teachers
    assert microgpt("generate", "--model", "model").returncode == 0


def test_a_search_space_can_be_read_from_a_file(microgpt, tmp_path) -> None:
    (tmp_path / "space.toml").write_text(
        "target = 9\n[values]\nn_embd = [8, 48]\nlr = [0.001, 0.01]\n[[first]]\nn_layer = 3"
    )
    ok(microgpt("evolve", *SEARCH, "--space", "space.toml"))
    genomes = [line["genome"] for line in evaluations_of(run_of(tmp_path))]
    assert {genome.get("n_layer", 1) for genome in genomes} <= {2, 3}
    assert {genome["n_embd"] for genome in genomes} <= {8, 48}
    assert {genome["lr"] for genome in genomes} <= {0.001, 0.01}
    assert len({json.dumps(genome) for genome in genomes}) <= 8  # the target ends the search
