import json
import os
import re
import shutil
from pathlib import Path

import pytest
from commands import ok, refused
from json_files import edit
from terminal import Terminal

from microgpt import ModelConfig, TrainConfig, save
from microgpt.config import CALIBRATION, CURVE_FILES, DOCUMENT_HASHES
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.files.directory_lock import DirectoryLock
from microgpt.storage.meta import META, STATE
from microgpt.storage.model_directory import STATE_DESCRIPTION, TOKENIZER
from microgpt.storage.weights_file import WEIGHTS_FILES
from microgpt.training.history_file import HISTORY
from microgpt.training.train import train
from microgpt_cli.commands.remove import OWN_FILES
from microgpt_cli.saved_directories import CONTENTS

OURS = {"version": 1, "created_by": "microgpt 1.0"}


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Path:
    """A folder with a model, one with a held-out loss, a training run, a search and a sweep."""
    folder = tmp_path_factory.mktemp("examples")
    result = train(["anna", "emma"], model=ModelConfig(), config=TrainConfig(steps=3))
    save(result, folder / "output")
    state = folder / "deep" / "er" / "half"
    state.mkdir(parents=True)
    model = json.loads((folder / "output" / "meta.json").read_text())
    facts = {"status": "running", "step": 400, "config": {"steps": 1000}, "model": model}
    facts["train_loss"] = 2.25
    (state / "train_state.json").write_text(json.dumps(facts | {"best": {"val_loss": 2.5}}))
    for name, settings in (("evolve_1", {}), ("sweep_1", {"sweep": "steps"})):
        run = folder / "experiments" / name
        run.mkdir(parents=True)
        (run / "run.json").write_text(json.dumps(OURS | {"settings": settings}))
        (run / "evaluations.jsonl").write_text("{}\n{}\n")
        log = folder / "experiments" / f"{name}.log"
        log.write_text("log\n" if settings else "=== MicroGPT Loss Evolution Engine ===\n")
    (folder / "experiments/evolve_1/genome.json").write_text('{"loss": 2.1, "val_loss": 2.2}')
    return folder


@pytest.fixture
def folder(examples, tmp_path) -> Path:
    """The examples, copied into the directory in which commands run."""
    return shutil.copytree(examples, tmp_path, dirs_exist_ok=True)


def test_list_shows_each_model_and_run_on_one_line(microgpt, folder) -> None:
    done = microgpt("list")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = [re.split("  +", line) for line in done.stdout.splitlines()]
    assert head == ["kind", "params", "steps", "loss", "age", "path"]
    by_path = {row[-1]: row for row in rows}
    meta = json.loads((folder / "output" / "meta.json").read_text())
    loss = f"{meta['training']['train_loss']:.4f}"
    assert by_path["output"][:4] == ["model", "3,488", "3", loss]
    half = ["training", "3,488", "400 of 1,000", "2.5000 held-out", "less than a minute"]
    assert by_path["deep/er/half"][:-1] == half
    search = ["search", "-", "2 evaluations", "2.2000 held-out"]
    assert by_path["experiments/evolve_1"][:4] == search
    assert by_path["experiments/sweep_1"][:4] == ["sweep", "-", "2 evaluations", "-"]
    assert len(rows) == 4
    os.utime(folder / "deep/er/half/train_state.json", (1, 1))
    assert microgpt("list").stdout.endswith("deep/er/half\n")  # the oldest
    only = microgpt("list", "deep").stdout.splitlines()
    assert len(only) == 2


def test_list_can_print_json(microgpt, folder) -> None:
    found = {one["path"]: one for one in json.loads(microgpt("list", "--json").stdout)["saved"]}
    half = found["deep/er/half"]
    assert (half["steps"], half["steps_planned"]) == (400, 1000)
    assert (half["loss"], half["val_loss"]) == (2.25, 2.5)
    assert found["output"]["num_params"] == 3488
    edit(folder / "output/meta.json", positions="rotary")
    saved = json.loads(microgpt("list", "output", "--json").stdout)["saved"]
    assert saved[0]["num_params"] == 3488 - 16 * 16  # without learned positions


def test_list_copes_with_damaged_files_and_link_loops(microgpt, tmp_path) -> None:
    shape = dict.fromkeys(("vocab_size", "n_embd", "n_head", "n_layer", "block_size"), 1)
    meta = json.dumps(shape | {"training": {"train_loss": None}})
    for name, content in (
        ("cut", "{"),
        ("other", '{"a": 1}'),
        ("list", "[]"),
        ("deep", "[" * 9999),
        ("huge", meta.replace("null", "1" + "0" * 400)),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").write_text(content)
    (tmp_path / "huge" / "weights.json").touch()
    (tmp_path / "cut" / "weights.json").touch()
    shutil.copytree(tmp_path / "cut", tmp_path / "tests" / "cut")  # left out
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "run.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "line\nend").mkdir()
    shutil.copy(tmp_path / "cut" / "meta.json", tmp_path / "line\nend" / "train_state.json")
    (tmp_path / "line\nend" / "train_state.safetensors").touch()
    done = microgpt("list")
    assert (done.returncode, done.stderr) == (0, "")
    kinds = sorted(line.split("  ")[0] for line in done.stdout.splitlines())
    assert kinds == ["kind", "model", "model", "training"]
    assert done.stdout.count("meta.json: damaged") == 2
    assert "line\\nend" in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory")
def test_list_names_a_directory_that_it_cannot_read(microgpt, tmp_path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    done = microgpt("list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "note: cannot read ./closed: Permission denied" in done.stderr


def test_list_says_that_it_found_nothing(microgpt) -> None:
    done = microgpt("list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "there is no model or run in ." in done.stderr
    assert microgpt("list", "nowhere").returncode == 2


def test_remove_requires_a_terminal_or_the_yes_option(microgpt, folder) -> None:
    error = refused(microgpt("remove", "--force", "output"))
    assert error == "no such option: --force; use --yes; see 'microgpt remove --help'"
    done = microgpt("remove", "output")
    assert (done.returncode, done.stdout) == (2, "")
    assert "model  3,488" in done.stderr
    assert done.stderr.endswith("use --yes to skip the question\n")
    assert (folder / "output" / "meta.json").exists()
    done = microgpt("remove", "--yes", "output", "deep/er/half/", "output")
    assert (done.returncode, done.stdout) == (0, "Removed output\nRemoved deep/er/half\n")
    assert not (folder / "output").exists()
    assert not (folder / "deep/er/half").exists()


@pytest.mark.parametrize("answer", ["y", "n"])
def test_remove_asks_for_confirmation_at_a_terminal(folder, answer) -> None:
    screen = Terminal("microgpt", "remove", "output", cwd=folder, size=(24, 100))
    screen.expect(r"model +3,488 [^?]*remove this directory\? \[y/N\]: ")
    screen.send(f"{answer}\r")
    screen.expect("Removed output" if answer == "y" else "\nnothing was removed")
    assert screen.exit_code() == (0 if answer == "y" else 2)
    assert (folder / "output").exists() == (answer == "n")


def test_remove_deletes_a_search_with_its_log_and_nothing_else(microgpt, folder) -> None:
    run = folder / "experiments" / "evolve_1"
    (run / "notes.txt").write_text("mine\n")
    done = ok(microgpt("remove", "--yes", "experiments/evolve_1"))
    assert done.stdout == "Removed the search in experiments/evolve_1\n"
    assert "note: these files were kept in experiments/evolve_1: notes.txt" in done.stderr
    assert os.listdir(run) == ["notes.txt"]
    assert sorted(os.listdir(folder / "experiments")) == ["evolve_1", "sweep_1", "sweep_1.log"]


def test_remove_refuses_links_active_runs_and_the_demo_model(microgpt, folder) -> None:
    error = refused(microgpt("remove", bundled(DEMO_MODEL)))
    assert error.endswith("chat is the bundled demo model; choose another directory")
    (folder / "link").symlink_to("output")
    for other in ("experiments", "link", "nowhere"):
        error = refused(microgpt("remove", "--yes", "output", other))
        assert error.startswith(f"{other} is not the directory of a model or a run")
    lock = DirectoryLock(folder / "output", "being trained")
    try:
        done = microgpt("remove", "--yes", "deep/er/half", "output")
    finally:
        lock.release()
    assert "output is being trained by process" in refused(done)
    assert (folder / "deep/er/half/train_state.json").exists()


def test_remove_does_not_delete_files_of_another_program(microgpt, folder) -> None:
    mine = folder / "mine"
    mine.mkdir()
    (mine / "run.json").write_text('{"settings": {}}')
    for name in ("mine/evaluations.jsonl", "mine/genome.json", "mine.log"):
        (folder / name).write_text("{}\n")
    done = microgpt("remove", "-y", "mine")
    assert (done.returncode, len(os.listdir(mine))) == (2, 3)
    assert "mine is not the directory of a model or a run" in done.stderr
    assert microgpt("remove", "--yes", "experiments/sweep_1").returncode == 0
    assert (folder / "mine.log").exists()
    assert (folder / "experiments/sweep_1.log").exists()
    done = microgpt("remove", "experiments/evolve_1")
    assert f"log: {folder}/experiments/evolve_1.log\n" in done.stderr


def test_remove_can_delete_the_working_directory(microgpt, examples, tmp_path) -> None:
    for name in ("output", "experiments/evolve_1"):
        shutil.copytree(examples / name, tmp_path, dirs_exist_ok=True)
    done = microgpt("remove", "--yes", ".")
    assert (done.returncode, done.stdout, tmp_path.exists()) == (0, "Removed .\n", False)


def test_remove_checks_everything_before_removing_anything(microgpt, folder) -> None:
    (folder / "output" / "history.jsonl").mkdir()
    assert "output/history.jsonl is a directory; remove it first" in refused(
        microgpt("remove", "--yes", "deep/er/half", "output")
    )
    assert (folder / "deep/er/half/train_state.json").exists()
    assert (folder / "output/weights.json").exists()


def test_remove_lists_every_file_of_a_model_directory() -> None:
    names = {*WEIGHTS_FILES.values(), TOKENIZER, META, HISTORY, STATE, STATE_DESCRIPTION}
    assert {*OWN_FILES["model"]} == names | {*CURVE_FILES, CALIBRATION, DOCUMENT_HASHES}
    assert {*OWN_FILES["training"]} == {HISTORY, STATE, STATE_DESCRIPTION, *CURVE_FILES}
    assert {*CONTENTS[META]} == {*WEIGHTS_FILES.values()}
