import json
import os
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import pytest
from commands import ok, refused, run_with_little_room, running
from json_files import edit
from trainings import NAMES, weights

from microgpt import load
from microgpt.storage.checkpoint import TrainingDirectory

pytestmark = pytest.mark.compiled

SMALL = ("--n-embd", "8", "--n-head", "2")
FOREVER = ("--steps", str(10**9))  # training would take days
NOTE = "note: the training run in model is unfinished; using its model at step 60 of 60"


@pytest.fixture(scope="module")
def ended(prepare) -> Path:
    """The directory of a training run that has completed its 60 steps."""
    return prepare(NAMES, (*SMALL, "--steps", "60", "--lr", "0.02", "--output", "model")) / "model"


@pytest.fixture
def unfinished(ended, names, tmp_path: Path) -> Path:
    """A copy of `ended`, next to names.txt, in the state before the run wrote its model."""
    model = tmp_path / "model"
    shutil.copytree(ended, model, ignore=shutil.ignore_patterns("weights.json", "meta.json"))
    edit(model / "train_state.json", status="running", input=str(names))
    return model


def test_a_finished_run_continues_if_given_more_steps_or_minutes(microgpt, names, tmp_path) -> None:
    microgpt("train", "--input", names, *SMALL, "--steps", "30", "--output", "model")
    done = ok(microgpt("train", "--resume", "model"))
    assert done.stdout == ""
    assert "ended after step 30 of 30 (steps); to continue it, pass a larger --steps" in done.stderr
    done = microgpt("train", "--resume", "model", "--steps", "40")
    assert "step   40 /   40 | loss" in done.stdout
    assert "(new, hallucinated documents)" in done.stdout  # the heading of the samples
    assert load(tmp_path / "model").meta.training["steps"] == 40
    done = ok(microgpt("train", "--resume", "model", "--minutes", "0.03"))
    assert load(tmp_path / "model").meta.training["steps"] > 40


def test_a_run_stopped_by_until_ends_like_a_whole_run_if_resumed(microgpt, names, tmp_path) -> None:
    options = ("train", "--input", names, *SMALL, "--steps", "40", "--val-fraction", "0.2")
    ok(microgpt(*options, "--model", "whole"))
    ok(microgpt(*options, "--until", "25", "--model", "part"))
    assert load(tmp_path / "part").meta.training["until"] == 25
    done = microgpt("train", "--resume", "part")
    assert "ended after step 25 of 40 (until); to continue it, pass --steps 40" in done.stderr
    ok(microgpt("train", "--resume", "part", "--steps", "40"))
    assert load(tmp_path / "part").weights == load(tmp_path / "whole").weights


def test_fine_tuning_replaces_only_the_model_of_its_parent(microgpt, names, tmp_path) -> None:
    ok(microgpt("train", "--input", names, *SMALL, "--steps", "30", "--model", "model"))
    sha256 = load(tmp_path / "model").sha256
    tune = ("train", "--input", names, "--from", "model", "--steps", "3")
    ok(microgpt(*tune, "--model", "model"))
    assert load(tmp_path / "model").meta.training["parent_sha256"] == sha256
    ok(microgpt(*tune, "--model", "child"))
    assert "has a model" in refused(microgpt(*tune, "--model", "child"))


def test_resume_finishes_an_interrupted_run_and_saves_its_model(microgpt, unfinished) -> None:
    assert microgpt("generate", "--model", "model").stderr == f"{NOTE}\n"
    ok(microgpt("train", "--resume", "model"))
    assert microgpt("generate", "--model", "model").stderr == ""


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--n-embd", "16"], "--n-embd cannot be used with --resume"),
        (["--lr", "0.5"], "omit --learning-rate"),
        (["--patience", "2"], "omit --patience"),
        (["--column", "land"], "omit --column"),
        (["--output", "other"], "omit --model"),
        (["--force"], "--force cannot be used with --resume"),
        (["--steps", "10"], "already completed 60 steps; --steps is the total number, such as 70"),
    ],
)
def test_resume_refuses_options_that_do_not_fit_a_run(microgpt, unfinished, args, problem) -> None:
    assert problem in refused(microgpt("train", "--resume", "model", *args))


def test_resume_requires_the_data_of_the_run(microgpt, unfinished, names) -> None:
    moved = names.rename(names.with_name("moved.txt"))
    assert "cannot read" in refused(microgpt("train", "--resume", "model"))
    names.write_text("something\nelse\n")
    problem = "names.txt is not the input of the run: its documents differ; "
    assert problem in refused(microgpt("train", "--resume", "model"))
    ok(microgpt("train", "--resume", "model", "--input", moved))


def test_an_unfinished_run_is_overwritten_only_with_force(microgpt, unfinished, names) -> None:
    again = ("train", "--input", names, *SMALL, "--steps", "5", "--output", "model")
    problem = refused(microgpt(*again))
    assert "is unfinished (step 60 of 60); resume it with --resume model, or replace it" in problem
    ok(microgpt(*again, "--force"))


def test_a_damaged_training_state_is_replaced_only_with_force(microgpt, unfinished, names) -> None:
    state = unfinished / "train_state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    assert "its sha256 differs" in refused(microgpt("train", "--resume", "model"))
    again = ("train", "--input", names, *SMALL, "--steps", "5", "--output", "model")
    assert "with --force" in refused(microgpt(*again))
    ok(microgpt(*again, "--force"))


def test_a_run_ended_by_patience_continues_only_on_its_data(microgpt, names, tmp_path) -> None:
    options = (*SMALL, "--steps", "400", "--lr", "0.1", "--val-fraction", "0.3")
    done = ok(microgpt("train", "--input", names, *options, "--patience", "1", "--output", "model"))
    assert "held-out loss" in done.stdout
    done = microgpt("train", "--resume", "model")
    assert " of 400 (patience); to continue it, pass --steps 400, or --minutes" in done.stderr
    (tmp_path / "other.txt").write_text("uma\nola\neda\nivy\n" * 9)
    done = microgpt("train", "--resume", "model", "--data", "other.txt")
    assert "train on another text with --from" in refused(done)
    done = microgpt("train", "--resume", "model", "--steps", "400")
    assert "note: resuming after step" in done.stderr
    ok(microgpt("train", "--resume", "model", "--minutes", "0.02"))


def test_train_refuses_the_directory_of_a_run_in_progress(microgpt, names, tmp_path) -> None:
    with TrainingDirectory(tmp_path / "model"):
        done = microgpt("train", "--input", names, "--output", "model", "--force")
    assert f"model is being trained by process {os.getpid()} on " in refused(done)


def test_a_training_run_that_cannot_write_leaves_no_directory(names, tmp_path) -> None:
    done = run_with_little_room("train", *("--input", str(names), *SMALL), cwd=tmp_path, most=5000)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: cannot write to output: File too large")
    assert os.listdir(tmp_path) == ["names.txt"]


def test_resume_notes_that_a_run_ends_earlier_than_planned(microgpt, unfinished) -> None:
    edit(unfinished / "train_state.json", config={"steps": 90})
    note = "note: the run ends at step 70, not 90; its learning rate now decays to 0 by then\n"
    assert note in microgpt("train", "--resume", "model", "--steps", "70").stderr


def test_commands_suggested_by_a_stopped_run_work_in_a_shell(microgpt, names, tmp_path) -> None:
    command = ["microgpt", "train", "--input", names, *FOREVER, "--output", "it's new"]
    with running(command, cwd=tmp_path) as process:
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    _, resume, use = errors.splitlines()[-1].split("; ")
    assert shlex.split(resume.partition(": ")[2]) == ["microgpt", "train", "--resume", "it's new"]
    command, *args = shlex.split(use.partition("use the model so far with: ")[2])
    assert (command, args) == ("microgpt", ["generate", "--model", "it's new"])
    done = ok(microgpt(*args))
    assert len(done.stdout.splitlines()) == 20
    assert re.search(r"using its model at step \d+ of 1000000000", done.stderr)


def test_export_writes_safetensors_float16_and_json_models(microgpt, text_model, tmp_path) -> None:
    names, before = microgpt("generate", "--model", text_model).stdout, weights(text_model)
    done = microgpt("export", "--model", text_model, "--output", "copy")
    assert done.stdout.startswith("copy/model.safetensors: ")
    ok(microgpt("export", "--model", text_model, "--output", "half", "--format", "float16"))
    half, full = (tmp_path / name / "model.safetensors" for name in ("half", "copy"))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    ok(microgpt("generate", "--model", "half"))
    assert microgpt("generate", "--model", "copy").stdout == names
    ok(microgpt("export", "--model", "copy", "--output", "copy", "--format", "json"))
    assert weights(tmp_path / "copy") == before
    assert not full.exists()


SHAPE = ("--n-embd", "16", "--n-layer", "1", "--block-size", "16")
TRAIN = ("train", "--input", "names.txt", *SHAPE, "--num-samples", "0", "--steps")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with names.txt and a model's directory, to which the user has added a picture."""
    folder = prepare("anna\nemma\n", (*TRAIN[3:], "1234"))
    (folder / "output" / "mine.png").touch()
    return folder


@pytest.fixture
def model(folder: Path) -> Path:
    """The model's directory in a copy of `trained`."""
    return folder / "output"


def test_train_refuses_to_replace_a_model_and_describes_it(microgpt, model) -> None:
    before = {name: (model / name).read_bytes() for name in os.listdir(model)}
    assert re.fullmatch(
        r"output has a model \(1,234 steps, loss \d\.\d{4} training\); "
        r"use another directory with --model names, or replace the model with --force",
        refused(microgpt(*TRAIN, "1234")),
    )
    assert {name: (model / name).read_bytes() for name in os.listdir(model)} == before


@pytest.mark.parametrize(
    ("file", "option"),
    [("my towns.txt", "--model 'my towns'"), ("-a.txt", "--model ./-a"), ("taken.txt", "--model")],
)
def test_train_suggests_a_directory_named_after_data_if_free(microgpt, model, file, option) -> None:
    (model.parent / file).write_text("Linz\n")
    (model.parent / "taken").touch()
    train = ("train", f"--data={file}", *SHAPE, "--steps", "2")
    assert f"directory with {option}, or replace" in refused(microgpt(*train))


def test_train_does_not_replace_a_model_whose_meta_json_is_damaged(microgpt, model) -> None:
    (model / "meta.json").write_text("{")
    assert "output has a model; use" in refused(microgpt(*TRAIN, "2"))


SHAPE_OF_MOONBASE = {"vocab_size": 300, "n_embd": 8, "n_head": 4, "n_layer": 1, "block_size": 16}
MOONBASE = ("meta.json", "tokenizer.json", "weights.safetensors", "optimizer_m.safetensors")


@pytest.mark.parametrize("files", [MOONBASE, ["tokenizer.json"]])
def test_foreign_files_are_not_replaced_or_listed(microgpt, text_model, tmp_path, files) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    for file in files:
        (tmp_path / "mb" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "mb" / file).write_text(json.dumps(SHAPE_OF_MOONBASE))
    for command in (("export", text_model, "--output", "mb"), (*TRAIN, "2", "--model", "mb")):
        line = refused(microgpt(*command))
        assert line.startswith(f"mb has {files[0]}") or "checkpoint of MoonBase" in line
    assert microgpt("list", "mb").stdout == ""
    assert sorted(os.listdir(tmp_path / "mb")) == sorted(files)
    assert {path.read_text() for path in (tmp_path / "mb").iterdir()} == {
        json.dumps(SHAPE_OF_MOONBASE)
    }


@pytest.mark.slow
def test_a_default_run_replaces_only_the_model_of_a_default_run(microgpt, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/names.txt").write_text("anna\nemma\n")
    ok(microgpt("train"))
    ok(microgpt("train", "--num-samples", "1"))
    assert "use another" in refused(microgpt("train", "--steps", "1000"))
    (tmp_path / "data/names.txt").write_text("anna\nemmy\n")
    assert "use another" in refused(microgpt("train"))
    ok(microgpt("train", "--force", "--steps", "2"))
    assert "use another" in refused(microgpt("train"))


def test_export_replaces_another_model_only_with_force(microgpt, model, text_model) -> None:
    onto = ("export", "--model", text_model, "--output")
    assert "(1,234 steps, loss " in refused(microgpt(*onto, model))
    for output in ("copy", "copy", text_model, model):
        force = ["--force"] if output == model else []
        ok(microgpt(*onto, output, *force))
    assert load(model).weights == load(text_model).weights
