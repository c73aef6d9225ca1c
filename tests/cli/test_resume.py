import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import commands
import pytest
from commands import ok, refused, run_with_little_room
from json_files import edit

from microgpt import load, own_functions
from microgpt.engine import processor
from microgpt.model_config import count_params
from microgpt.storage.training_directory import read_training

SMALL = ("--n-embd", "8", "--n-head", "2")
NOTE = "note: the training run in model is unfinished; using its model at step 60 of 60"
UNFINISHED = "--unfinished"
NAMES = "\n".join(
    a + b + c + d for a in "aei" for b in "mnr" for c in "aeo" for d in ["", "l", "nn"]
)


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A training file that is large enough to be split."""
    (tmp_path / "names.txt").write_text(NAMES)
    return tmp_path / "names.txt"


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    """The directory of a training run that has taken all its 60 steps."""
    folder = tmp_path_factory.mktemp("ended")
    (folder / "names.txt").write_text(NAMES)
    options = (*SMALL, "--steps", "60", "--lr", "0.02", "--output", "model")
    commands.run("train", "--input", "names.txt", *options, cwd=folder, check=True)
    return folder / "model"


@pytest.fixture
def unfinished(ended, names, tmp_path: Path) -> Path:
    """That training, of the names here, as it stands before it leaves its model."""
    model = tmp_path / "model"
    shutil.copytree(ended, model, ignore=shutil.ignore_patterns("weights.json", "meta.json"))
    edit(model / "train_state.json", status="running", input=str(names))
    return model


def begin(folder: Path, *args: str | Path) -> subprocess.Popen[str]:
    """Start a training run that would take days, and return its process after the first line."""
    command = ["microgpt", "train", *args, "--steps", str(10**9)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)
    process.stdout.readline()
    return process


@pytest.mark.parametrize("kind", ["device", "sparse"])
def test_resume_refuses_a_device_or_a_sparse_file_as_input(
    microgpt, names, unfinished, kind
) -> None:
    """It stands in the state, which may be a stranger's."""
    names.unlink()
    if kind == "device":
        names.symlink_to("/dev/zero")
    else:
        names.touch()
        os.truncate(names, 3 * 2**30)
    problem = "has the byte 0x00" if kind == "sparse" else "is not a regular file"
    assert problem in refused(microgpt("train", "--resume", "model"))


@pytest.mark.parametrize(("rounding", "noted"), [("", 0), ("7-byte vectors", 1)])
def test_resume_warns_of_a_processor_that_rounds_differently(
    microgpt, unfinished, rounding, noted
) -> None:
    path = unfinished / "train_state.json"
    assert json.loads(path.read_text())["rounding"] == processor.ROUNDING
    if rounding != "":
        edit(path, rounding=rounding)
    done = ok(microgpt("train", "--resume", "model", "--steps", "70"))
    note = "note: the steps so far were computed with 7-byte vectors, and this computer has "
    assert done.stderr.count(note) == noted


def test_a_finished_training_run_can_be_extended(microgpt, names, tmp_path) -> None:
    microgpt("train", "--input", names, *SMALL, "--steps", "30", "--output", "model")
    done = microgpt("train", "--resume", "model")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "note: the training run in model completed its 30 steps; to continue it, pass a larger "
        "total with --steps\n"
    )
    done = microgpt("train", "--resume", "model", "--steps", "40")
    assert "step   40 /   40 | loss" in done.stdout
    assert "(new, hallucinated documents)" in done.stdout  # as when it began
    assert load(tmp_path / "model").meta.training["steps"] == 40


def test_resume_saves_the_model_of_an_interrupted_run(microgpt, unfinished) -> None:
    assert microgpt("generate", "--model", "model").stderr == f"{NOTE}\n"
    assert microgpt("train", "--resume", "model").returncode == 0
    assert microgpt("generate", "--model", "model").stderr == ""
    problem = "the training run in model has ended; use its model"
    assert problem in refused(microgpt("generate", "--model", "model", UNFINISHED))


@pytest.mark.parametrize(
    "command",
    ["eval model --data names.txt", "info", "info --data names.txt", "export --output copy"],
)
def test_commands_read_an_unfinished_model_and_print_a_note(microgpt, unfinished, command) -> None:
    name, *args = command.split()
    args += [] if name == "eval" else ["--model", "model"]
    done = ok(microgpt(name, *args))
    assert NOTE in done.stderr.splitlines()


def test_commands_use_the_saved_model_unless_unfinished_is_given(
    microgpt, unfinished, text_model
) -> None:
    for file in ("weights.json", "meta.json"):
        shutil.copy(text_model / file, unfinished)
    assert microgpt("generate", "--model", "model").stderr == ""
    assert microgpt("generate", "--model", "model", UNFINISHED).stderr == f"{NOTE}\n"
    assert "note: " not in microgpt("info", "--model", "model").stderr
    facts = json.loads(microgpt("info", "--model", "model", UNFINISHED, "--json").stdout)
    assert facts["training"]["steps_planned"] == 60


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--n-embd", "16"], "--n-embd is 16, but the run to resume has 8; omit --n-embd"),
        (["--lr", "0.5"], "--learning-rate is 0.5, but the run to resume has 0.02"),
        (["--engine", "reference"], "the reference engine supports only float64; omit dtype or"),
        (["--chat"], "--chat is True, but the run to resume has False"),
        (["--output", "other"], "--model is other, but the run to resume has model"),
        (["--force"], "--force cannot be used with --resume"),
        (["--from", "model"], "--from cannot be used with --resume"),
        (
            ["--steps", "10"],
            "--steps is 10, but the training run in model has already completed 60 steps; "
            "--steps is the total number, such as 70",
        ),
    ],
)
def test_resume_names_both_values_of_a_conflicting_option(
    microgpt, unfinished, args, problem
) -> None:
    assert problem in refused(microgpt("train", "--resume", "model", *args))


def test_resume_accepts_options_that_match_the_training_run(microgpt, unfinished) -> None:
    ok(microgpt("train", "--resume", "model", "--n-embd", "8", "--seed", "42", "--lr", "0.02"))


def test_resume_detects_that_the_data_has_changed(microgpt, unfinished, names) -> None:
    moved = names.rename(names.with_name("moved.txt"))
    assert "cannot read" in refused(microgpt("train", "--resume", "model"))
    names.write_text("something\nelse\n")
    problem = "names.txt is not the input of the run: the sha256 of its documents is "
    assert problem in refused(microgpt("train", "--resume", "model"))
    assert microgpt("train", "--resume", "model", "--input", moved).returncode == 0


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("nowhere", "nowhere does not exist; "),
        (".", "has no checkpoint to resume"),
        (__file__, "test_resume.py is not a directory; "),
    ],
)
def test_resume_refuses_a_path_without_a_training_run(microgpt, place, problem) -> None:
    assert problem in refused(microgpt("train", "--resume", place))


def test_an_unfinished_training_run_is_not_overwritten(microgpt, unfinished, names) -> None:
    again = ("train", "--input", names, *SMALL, "--steps", "5", "--output", "model")
    assert refused(microgpt(*again)) == (
        "the training run in model is unfinished (step 60 of 60); "
        "resume it with --resume model, or replace it with --force"
    )
    assert microgpt(*again, "--force").returncode == 0


def test_a_damaged_state_is_refused_and_can_be_replaced(microgpt, unfinished, names) -> None:
    state = unfinished / "train_state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    assert "its sha256 differs" in refused(microgpt("train", "--resume", "model"))
    again = ("train", "--input", names, *SMALL, "--steps", "5", "--output", "model")
    assert "with --force" in refused(microgpt(*again))
    assert microgpt(*again, "--force").returncode == 0


def test_a_run_that_ended_early_resumes_with_more_patience(microgpt, names, tmp_path) -> None:
    options = (*SMALL, "--steps", "400", "--lr", "0.1", "--val-fraction", "0.3")
    done = ok(microgpt("train", "--input", names, *options, "--patience", "1", "--output", "model"))
    assert "held-out loss" in done.stdout
    done = microgpt("train", "--resume", "model")
    assert done.stderr.startswith("note: the training run in model stopped early after step")
    done = microgpt("train", "--resume", "model", "--steps", "500")
    assert "to continue it, pass for example --patience 2 --steps 500\n" in done.stderr
    (tmp_path / "other.txt").write_text("uma\nola\neda\nivy\n" * 9)
    done = microgpt("train", "--resume", "model", "--data", "other.txt")
    assert "train the model on another text with --from" in refused(done)
    done = microgpt("train", "--resume", "model", "--patience", "2")
    assert "note: resuming after step" in done.stderr


def test_held_out_losses_and_fractions_are_printed_and_saved(microgpt, names, tmp_path) -> None:
    shares = ("--val-fraction", "0.2", "--test-fraction", "0.2")
    done = microgpt("train", "--input", names, *SMALL, *shares, "--steps", "40", "--json")
    summary = json.loads(done.stdout)
    training = load(tmp_path / "output").meta.training
    for name in ("val_loss", "test_loss", "best_step"):
        assert summary[name] == training[name]
    assert (training["val_fraction"], training["test_fraction"]) == (0.2, 0.2)
    assert "documents for training" in done.stderr
    memorised = summary["memorised"]
    assert memorised["n_samples"] == 20
    assert all(pair["distance"] >= 1 for pair in memorised["novel"])


def test_two_training_runs_do_not_share_a_directory(microgpt, names, tmp_path) -> None:
    first = begin(tmp_path, "--input", names, "--output", "model")
    done = microgpt("train", "--input", names, "--output", "model", "--force")
    assert f"model is being trained by process {first.pid} on " in refused(done)
    first.terminate()
    first.communicate(timeout=20)
    assert read_training(tmp_path / "model")[2] == "running"


def content_of(directory: Path) -> dict[str, bytes]:
    return {file: (directory / file).read_bytes() for file in os.listdir(directory)}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit for files")
def test_a_full_disk_keeps_the_state_and_prints_the_size(microgpt, names, tmp_path) -> None:
    options = ("--input", str(names), *SMALL, "--steps", "200", "--val-fraction", "0.3")
    microgpt("train", *options, "--output", "whole")
    # The state of step 0 fits: it has neither a history nor best weights.
    most = 3 * 4 * count_params(load(tmp_path / "whole").model) + 2000
    often = ("--output", "model", "--checkpoint-every", "50")
    done = run_with_little_room("train", *options, *often, cwd=tmp_path, most=most)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "cannot write to model: File too large; needs " in error
    assert error.endswith("; resume with: microgpt train --resume model")
    assert "the previous checkpoint was kept" in done.stderr
    assert read_training(tmp_path / "model")[1].step == 0
    assert not [name for name in os.listdir(tmp_path / "model") if name.startswith(".saving")]
    microgpt("train", "--resume", "model", "--num-samples", "0")
    for file in ("weights.json", "train_state.safetensors", "history.jsonl"):
        whole, resumed = (tmp_path / name / file for name in ("whole", "model"))
        assert resumed.read_bytes() == whole.read_bytes()


def test_a_full_disk_leaves_the_previous_training_run_unchanged(microgpt, names, tmp_path) -> None:
    options = ("--input", str(names), *SMALL, "--output", "model")
    microgpt("train", *options, "--steps", "5")
    before = content_of(tmp_path / "model")
    often = ("--steps", "200", "--checkpoint-every", "50", "--force")
    done = run_with_little_room("train", *options, *often, cwd=tmp_path, most=5000)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert re.fullmatch(r"error: cannot write to model: File too large; needs [\d,]+ bytes", error)
    assert "previous checkpoint" not in done.stderr
    assert content_of(tmp_path / "model") == before


def test_a_full_disk_leaves_no_new_directory(names, tmp_path) -> None:
    options = ("--input", str(names), *SMALL)
    done = run_with_little_room("train", *options, cwd=tmp_path, most=5000)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: cannot write to output: File too large")
    assert os.listdir(tmp_path) == ["names.txt"]


def test_a_resumed_run_keeps_the_format_of_its_weights(microgpt, unfinished, tmp_path) -> None:
    edit(tmp_path / "model/train_state.json", weights_format="safetensors")
    assert microgpt("train", "--resume", "model").returncode == 0
    assert (tmp_path / "model/model.safetensors").exists()
    assert not (tmp_path / "model/weights.json").exists()


def test_resume_saves_a_new_number_of_steps_immediately(microgpt, unfinished, tmp_path) -> None:
    process = begin(tmp_path, "--resume", "model")
    process.kill()
    process.communicate()
    assert read_training(tmp_path / "model")[0].config.steps == 10**9


def test_resume_notes_that_a_run_ends_earlier_than_planned(microgpt, unfinished) -> None:
    edit(unfinished / "train_state.json", config={"steps": 90})
    note = "note: the run ends at step 70, not 90; its learning rate now falls to 0 by then\n"
    assert note in microgpt("train", "--resume", "model", "--steps", "70").stderr


def test_resume_refuses_a_diverged_run(microgpt, names, tmp_path) -> None:
    options = ("--input", names, *SMALL, "--output", "my model", "--force")
    microgpt("train", *options, "--steps", "5")
    done = microgpt("train", *options, "--steps", "50", "--lr", "1e200", "--checkpoint-every", "1")
    assert done.returncode == 1
    error = refused(microgpt("train", "--resume", "my model"))
    assert "diverged after step" in error
    assert "my model.diverged); train from scratch with a smaller --learning-rate" in error
    assert microgpt("train", *options, "--steps", "5").returncode == 0


def test_suggested_commands_can_be_pasted(microgpt, names, tmp_path) -> None:
    process = begin(tmp_path, "--input", names, "--output", "it's new")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    _, resume, use = errors.splitlines()[-1].split("; ")
    assert shlex.split(resume.partition(": ")[2]) == ["microgpt", "train", "--resume", "it's new"]
    command, *args = shlex.split(use.partition("use the model so far with: ")[2])
    assert (command, args) == ("microgpt", ["generate", "--model", "it's new"])
    done = microgpt(*args)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 20)
    assert re.search(r"using its model at step \d+ of 1000000000", done.stderr)


def test_resuming_a_finished_run_can_print_json_and_plot(microgpt, names, tmp_path) -> None:
    microgpt("train", "--input", names, *SMALL, "--steps", "5")
    done = microgpt("train", "--resume", "output", "--json", "--plot")
    assert (tmp_path / "output/curves.svg").exists()
    assert json.loads(done.stdout) == {"steps": 5, "ended": "steps", "output": "output"}


def test_exported_models_of_every_format_can_be_read(microgpt, text_model, tmp_path) -> None:
    names = microgpt("generate", "--model-dir", text_model).stdout
    done = microgpt("export", "--model-dir", text_model, "--output", "copy")
    assert done.stdout.startswith("copy/model.safetensors: ")
    assert microgpt("generate", "--model-dir", "copy").stdout == names
    microgpt("export", "--model-dir", "copy", "--output", "back", "--format", "json")
    assert (tmp_path / "back/weights.json").read_bytes() == (
        text_model / "weights.json"
    ).read_bytes()
    done = microgpt("export", "--model-dir", text_model, "--output", "half", "--half")
    half, full = (tmp_path / name / "model.safetensors" for name in ("half", "copy"))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    assert microgpt("generate", "--model-dir", "half").returncode == 0
    assert microgpt("info", "--model-dir", "half").returncode == 0


def test_export_can_change_the_weights_format_in_place(microgpt, text_model) -> None:
    names = microgpt("generate", "--model-dir", text_model).stdout
    for format in ("safetensors", "json"):
        microgpt(*("export", "--model-dir", text_model, "--output", text_model, "--format", format))
        files = {"safetensors": "model.safetensors", "json": "weights.json"}
        assert sorted(os.listdir(text_model)) == sorted(
            ["documents.crc32", "meta.json", files[format]]
        )
        assert microgpt("generate", "--model-dir", text_model).stdout == names


def test_half_precision_is_refused_for_json(microgpt, text_model) -> None:
    options = ("--model-dir", text_model, "--output", "x", "--format", "json", "--half")
    assert "half precision requires the safetensors format" in refused(microgpt("export", *options))


def test_a_custom_schedule_must_be_passed_again_to_repeat_a_run(microgpt, names, tmp_path) -> None:
    file = tmp_path / "schedules_of_a_test.py"
    file.write_text("def halved(step, *, lr, steps, warmup_steps):\n    return lr / 2\n")
    own = ("--schedule", "schedules_of_a_test:halved")
    run = ("--data", "names.txt", *SMALL, "--steps", "40")
    ok(microgpt("train", *run, *own, "--model", "one"))
    recorded = load(tmp_path / "one").meta.training["schedule"]
    assert recorded.startswith("schedules_of_a_test:halved#")
    needed = "the run uses the function schedules_of_a_test:halved; pass it again with --schedule"
    own_functions._passed.clear()  # as in another process
    assert needed in refused(microgpt("train", "--repeat", "one", "--model", "two"))
    done = ok(microgpt("train", "--repeat", "one", "--model", "two", *own))
    assert "the weights are identical to those in one" in done.stderr
    ok(microgpt("train", "--resume", "one", "--steps", "80", *own))
    own_functions._passed.clear()
    file.write_text("def halved(step, *, lr, steps, warmup_steps):\n    return lr / 3\n")
    changed = "the file of schedules_of_a_test:halved has changed since the run began; restore it"
    assert refused(microgpt("train", "--resume", "one", "--steps", "90", *own)) == changed
