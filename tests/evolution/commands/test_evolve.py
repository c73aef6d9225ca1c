import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from unittest.mock import Mock

import commands
import pytest
from commands import ok, refused
from json_files import edit
from searches import AESTHETIC, HYDRA, SMALL, changed, contents, evaluations_of, run_of

from microgpt import contamination, load, mark, split
from microgpt_evolution.objectives import loss_objective

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("undrawn", "made_up_names")]


def test_the_winner_of_a_search_can_be_run_and_trained_again(microgpt, tmp_path) -> None:
    assert microgpt("run").stdout.startswith("=== MicroGPT [Primordial] ===")
    done = ok(microgpt("evolve", *SMALL, "--train-winner", "winner"))
    assert " saved to genome.json" in done.stdout
    genome = json.loads((tmp_path / "genome.json").read_text())
    assert (genome["objective"], genome["fitness"], genome["seed"]) == ("loss", "held-out", 5)
    evolved = microgpt("run")
    assert evolved.stdout.startswith("=== MicroGPT [Evolved] ===")
    assert f"emb={genome['n_emb']}," in evolved.stdout
    assert microgpt("train", "--genome", "genome.json").returncode == 0
    assert microgpt("generate").returncode == 0
    assert microgpt("generate", "--model-dir", "winner").returncode == 0
    weights = (tmp_path / "winner" / "weights.json").read_bytes()
    for _ in range(2):  # the second iteration has to train the winner again
        assert microgpt("evolve", "--resume", str(run_of(tmp_path))).returncode == 0
        assert (tmp_path / "winner" / "weights.json").read_bytes() == weights
        shutil.rmtree(tmp_path / "winner")


def test_evolve_and_run_mark_contaminated_losses(microgpt, tmp_path) -> None:
    names = dict.fromkeys((tmp_path / "data/names.txt").read_text().split())
    docs = [*names, *map(str.upper, names)]
    (tmp_path / "twice.txt").write_text("\n".join(docs))
    found = contamination(split(docs, validation=0.1, test=0.1), ())
    assert 0 < found["test"] < 1
    done = ok(microgpt("evolve", *changed(SMALL, "--input", "twice.txt", "--generations", "1")))
    validation, test = mark(found["validation"]), mark(found["test"])
    assert f"losses are too low: validation{validation}, test{test}" in done.stderr
    assert f"{validation}, measured with fresh seeds" in done.stderr
    assert done.stdout.count(f"Held out{validation} ") == 1
    figures = re.findall(r"(?:loss <|best|g\d-\d:) (\d\..*?)(?:, diversity| \||\n)", done.stdout)
    assert len(figures) > 3
    assert all(figure.endswith(validation) for figure in figures)
    ran = ok(microgpt("run", "--input", "twice.txt"))
    assert re.search(rf"loss of the genome is \d\.\d{{4}}{re.escape(validation)}", ran.stderr)
    assert done.stdout.count(f"Test{test}") == 1
    assert json.loads((run_of(tmp_path) / "settings.json").read_text())["contamination"] == found


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ("--population 0", "population must be >= 1, got 0"),
        ("--minutes 0", "--minutes must be a number greater than 0, got 0"),
        ("--minutes 1 --budget 1e9", "--minutes cannot be used with --budget"),
        ("--minutes 1 --generations 3", "--generations cannot be used with --minutes"),
        ("--budget 100", "operations are too few"),
        ("--input few.txt", "too few documents"),
        ("--head weaver", "head is only for objective hydra; omit --head"),
        ("--train-winner few.txt", "cannot write to few.txt: "),
        ("--train-winner few.txt/model", "cannot write to few.txt/model: "),
        ("--train-winner /proc/nowhere/model", "cannot write to /proc/nowhere/model: "),
        ("--train-winner=", "must not be empty"),
        ("--resume nowhere", "nowhere is not a study: "),
    ],
)
def test_refused_evolve_options_create_no_study(microgpt, tmp_path, args, problem) -> None:
    (tmp_path / "few.txt").write_text("anna\nemma\n")
    assert problem in refused(microgpt("evolve", *args.split()))
    assert not (tmp_path / "experiments").exists()


def test_a_resumed_search_refuses_changed_settings_or_data(microgpt, tmp_path, searched) -> None:
    shutil.copytree(searched(*SMALL)[1], tmp_path, dirs_exist_ok=True)
    run = f"experiments/{run_of(tmp_path).name}"
    edit(tmp_path / run / "settings.json", input=str(tmp_path / "names.txt"))
    error = refused(microgpt("evolve", "--resume", run, "--population", "9"))
    assert error == "--population cannot be used with --resume of a search; omit one of them"
    (tmp_path / "names.txt").write_text("\n".join(f"other{i}" for i in range(100)))
    before = (tmp_path / run / "settings.json").read_bytes()
    error = refused(microgpt("evolve", "--resume", run, "--generations", "6"))
    assert "is not the input of the search" in error
    assert (tmp_path / run / "settings.json").read_bytes() == before


SEARCH = ("evolve", "--input", "names.txt")
SHORT = (*SEARCH, "--population", "2", "--generations", "1")


def test_evolve_refuses_the_model_directory_of_another_run(microgpt, text_model, tmp_path) -> None:
    error = refused(microgpt(*SEARCH, "--train-winner", text_model))
    assert "use another directory with --train-winner" in error
    assert not (tmp_path / "experiments").exists()


def test_evolve_does_not_replace_a_file_that_is_not_a_genome(microgpt, tmp_path) -> None:
    (tmp_path / "genome.json").write_text("mine")
    error = refused(microgpt(*SEARCH))
    assert error.startswith("genome.json: ")
    assert error.endswith("; rename the file, or replace it with --force")
    assert (tmp_path / "genome.json").read_text() == "mine"


@pytest.mark.parametrize("is_own", [False, True])
def test_resume_replaces_a_model_only_with_force(microgpt, tmp_path, monkeypatch, is_own) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    search = (*SHORT, "--train-winner", "winner", "--force")
    if is_own:  # the existing model was trained by this search
        ok(microgpt(*search))
        search = ("evolve", "--resume", run_of(tmp_path), "--generations", "4")
    else:
        ok(microgpt("train", "--steps", "5", "--model", "winner"))
    before = load(tmp_path / "winner").weights
    with monkeypatch.context() as patch:
        patch.setattr("microgpt_cli.training.job_run.train_job", interrupt)
        assert "resume with: microgpt evolve --resume" in microgpt(*search).stderr
    assert load(tmp_path / "winner").weights == before
    resume = ("evolve", "--resume", run_of(tmp_path))
    assert "or replace the model with --force" in refused(microgpt(*resume))
    ok(microgpt(*resume, "--force"))
    assert load(tmp_path / "winner").weights != before
    assert "so nothing changed" in ok(microgpt(*resume)).stderr
    ok(microgpt("train", "--steps", "6", "--model", "winner", "--force"))
    assert "use another directory with --train-winner" in refused(microgpt(*resume))


ALONE = (*SMALL, "--workers", "1")  # one worker, so training runs can be counted


@pytest.fixture
def whole(searched) -> Path:
    """The directory of an uninterrupted search."""
    return searched(*SMALL)[1]


def errors_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of stderr that are neither notes nor progress."""
    lines = done.stderr.splitlines()
    return [line for line in lines if not re.match(r"note: |organism |\d+ % \| ", line)]


@pytest.mark.parametrize(
    ("n", "number", "code", "word"),
    [(4, signal.SIGINT, 130, "interrupted"), (0, signal.SIGTERM, 143, "terminated")],
)
def test_a_search_stopped_by_a_signal_resumes_to_the_same_genome(
    microgpt, tmp_path, whole, stopped_in, n, number, code, word
) -> None:
    n = n or len(evaluations_of(run_of(whole)))  # n = 0 stands for the last training run
    with stopped_in(n, number):
        done = microgpt("evolve", *ALONE)
    run = run_of(tmp_path)
    (line,) = errors_of(done)
    n_known = (run / "trials.jsonl").read_text().count("\n")
    assert n - 2 <= n_known < n  # the last record may be missing
    assert line == (
        f"{word} after {n_known} training runs; resume with: "
        f"microgpt evolve --resume experiments/{run.name}"
    )
    assert done.returncode == code
    assert not (tmp_path / "genome.json").exists()
    assert not (run / ".lock").exists()
    assert microgpt("evolve", "--resume", f"experiments/{run.name}").returncode == 0
    assert (tmp_path / "genome.json").read_bytes() == (whole / "genome.json").read_bytes()


def test_if_all_runs_crash_the_old_genome_is_kept(microgpt, tmp_path, genome, monkeypatch) -> None:
    before = genome.read_bytes()
    monkeypatch.setattr(loss_objective, "train", Mock(side_effect=OSError("broken")))
    done = microgpt("evolve", *ALONE)
    assert done.returncode == 1
    (error,) = errors_of(done)
    run = run_of(tmp_path).name
    assert error == f"error: no training run completed: OSError: broken; see experiments/{run}"
    assert genome.read_bytes() == before


def test_a_search_stopped_by_a_write_error_resumes_to_its_winner(microgpt, tmp_path, whole) -> None:
    done = commands.run_with_little_room("evolve", *ALONE, cwd=tmp_path, most=2500)
    run = run_of(tmp_path)
    assert done.returncode == 1
    (error,) = errors_of(done)
    assert error.startswith("error: cannot write to experiments")
    assert error.endswith(f"large; resume with: microgpt evolve --resume experiments/{run.name}")
    assert not (tmp_path / "genome.json").exists()
    assert microgpt("evolve", "--resume", f"experiments/{run.name}").returncode == 0
    assert (tmp_path / "genome.json").read_bytes() == (whole / "genome.json").read_bytes()


def test_the_score_of_the_winner_is_its_judge_score_with_fresh_seeds(searched) -> None:
    done, folder = searched(*HYDRA)
    genome = json.loads((folder / "genome.json").read_text())
    assert "head" not in genome
    (score,) = re.findall(r"Judge \(score\) +\S+ +(\S+) ± \S+ \(95%, n=3\)", done.stdout)
    assert score == f"{genome['score']:.4f}"


def test_a_finished_search_changes_only_with_more_generations(microgpt, tmp_path, searched) -> None:
    shutil.copytree(searched(*AESTHETIC)[1], tmp_path, dirs_exist_ok=True)
    run, whole = run_of(tmp_path), contents(tmp_path)
    assert "so nothing changed" in ok(microgpt("evolve", "--resume", run)).stderr
    assert "pass more" in refused(microgpt("evolve", "--resume", run, "--generations", "1"))
    again = microgpt("evolve", "--resume", run, "--generations", "2")
    assert "so nothing changed" in ok(again).stderr
    assert contents(tmp_path) == whole
    done = ok(microgpt("evolve", "--resume", run, "--generations", "4"))
    assert "note: 2 generations more than the 2 so far" in done.stderr
    genome = (tmp_path / "genome.json").read_bytes()
    (tmp_path / "genome.json").unlink()
    ok(microgpt("evolve", *AESTHETIC[:5], "4", *AESTHETIC[6:]))
    assert (tmp_path / "genome.json").read_bytes() == genome
