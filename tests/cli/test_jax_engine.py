"""`--engine jax` of the commands; tests/lib/jax_engine has the comparison with compiled."""

import json

import pytest
from commands import ok, refused
from json_files import edit

from microgpt.storage.training_directory import read_training

pytest.importorskip("jax", reason="JAX is not installed; run: uv sync --group jax")

SMALL = ("--n-embd", "8", "--n-head", "2", "--lr", "0.02", "--num-samples", "1")
NAMES = "\n".join(a + b + c for a in "aei" for b in "mnr" for c in "aeo")


@pytest.fixture(autouse=True)
def names(tmp_path) -> None:
    (tmp_path / "names.txt").write_text(NAMES)


@pytest.mark.slow
def test_a_run_goes_on_with_the_engine_that_is_named(microgpt, tmp_path) -> None:
    data = "--data", "names.txt", *SMALL
    ok(microgpt("train", *data, "--steps", "9", "--model", "whole", "--val-fraction", "0.2"))
    ok(microgpt("train", *data, "--steps", "9", "--model", "part", "--val-fraction", "0.2"))
    for engine, steps in (("jax", "15"), ("compiled", "21")):
        for directory, options in (("whole", ()), ("part", ("--engine", engine))):
            resume = "train", "--resume", directory, *options, "--steps", steps
            done = ok(microgpt(*resume, "--num-samples", "1"))
        assert "the steps so far were computed by the" in done.stderr
        assert read_training(tmp_path / "part")[1].engine == engine
    whole, part = (
        json.loads((tmp_path / name / "meta.json").read_text()) for name in ("whole", "part")
    )
    for loss in ("train_loss", "val_loss"):
        assert part["training"][loss] == pytest.approx(whole["training"][loss], abs=1e-5)
    edit(tmp_path / "part/train_state.json", format_version=9)
    problem = refused(microgpt("train", "--resume", "part", "--steps", "30"))
    assert "format_version is 9" in problem
    assert "update microgpt" in problem


@pytest.mark.slow
def test_verify_replays_karpathys_run_with_jax(microgpt) -> None:
    done = ok(microgpt("verify", "--engine", "jax", "--steps", "3"))
    assert done.stdout.count("3 of 1000 steps: loss 3.1778") == 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--bfloat16"], "--bfloat16 requires --engine jax"),
        (["--device", "gpu"], "--device requires --engine jax"),
        (["--engine", "jax", "--device", "tpu"], "JAX finds no such device"),
        (["--engine", "jax", "--threads", "2"], "the jax engine uses the threads that JAX starts"),
        (["--engine", "jax", "--bfloat16", "--dtype", "float64"], "cannot be used with --dtype"),
    ],
)
def test_settings_without_an_effect_are_refused(options, problem, microgpt, tmp_path) -> None:
    assert problem in refused(microgpt("train", "--data", "names.txt", *SMALL, *options))
    assert not (tmp_path / "output").exists()


def test_a_run_on_a_device_needs_the_extra_jax(microgpt, tmp_path) -> None:
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing/jax.py").write_text("raise ImportError('No module named jax')")
    ok(microgpt("train", "--data", "names.txt", *SMALL, "--steps", "3", "--model", "part"))
    resume = "train", "--resume", "part", "--steps", "9", "--device", "cpu"
    problem = refused(microgpt(*resume, cold=True, PYTHONPATH="missing"))
    assert "require the extra jax (No module named jax); run: pip install" in problem


def test_a_run_is_not_resumed_with_what_its_engine_lacks(microgpt) -> None:
    ok(microgpt("train", "--data", "names.txt", *SMALL, "--steps", "3", "--model", "part"))
    resume = "train", "--resume", "part", "--steps", "9"
    assert "--device requires --engine jax" in refused(microgpt(*resume, "--device", "cpu"))
    assert "supports only float64" in refused(microgpt(*resume, "--engine", "reference"))
