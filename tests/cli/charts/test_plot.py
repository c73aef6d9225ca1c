import json
import os
from pathlib import Path

import pytest
from commands import refused
from png_files import size_of_png

from microgpt.training.history_file import HISTORY, HistoryPoint, encode_history

POINTS = [
    HistoryPoint(10 * i, 2 + 1 / i, 2.2 + 1 / i if i % 5 == 0 else None) for i in range(1, 21)
]
BEGUN = b'{"step": 10, "loss": 3.0}\n'


def trained(directory: Path, history: bytes = encode_history(POINTS)) -> Path:
    """Write the history of a training run, which is all that `plot` needs."""
    directory.mkdir(parents=True)
    (directory / HISTORY).write_bytes(history)
    return directory


def described(directory: Path, **training: object) -> None:
    """Add a meta.json, as it is after the training."""
    meta = {"vocab_size": 27, "n_embd": 16, "n_head": 4, "n_layer": 1, "block_size": 16}
    training = {"steps": POINTS[-1].step, "batch_size": 1, **training}
    (directory / "meta.json").write_text(
        json.dumps(meta | {"chars": list("ab"), "training": training})
    )


@pytest.mark.slow
def test_plot_draws_a_training_run_as_a_png_and_an_svg(microgpt, tmp_path) -> None:
    described(trained(tmp_path / "names-model"), lr=0.02, seed=7)
    done = microgpt("plot", "names-model")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "curves.png\ncurves.svg\n"
    assert sorted(os.listdir(tmp_path)) == ["curves.png", "curves.svg", "names-model"]
    width, height = size_of_png(tmp_path / "curves.png")
    assert 1000 < width < 2000
    assert 600 < height < 1200
    svg = (tmp_path / "curves.svg").read_text()
    assert svg.startswith("<svg")
    for text in ("names-model", "held-out", "2.250 at step 200"):
        assert text in svg


@pytest.mark.slow
def test_plot_overlays_training_runs(microgpt, tmp_path) -> None:
    for name, lr in (("slow", 0.001), ("fast", 0.03)):
        described(trained(tmp_path / name), lr=lr, seed=7)
    trained(tmp_path / "running", BEGUN)  # no meta.json yet, and a single point
    done = microgpt("plot", "slow", "fast", "running", "--output", "three.svg")
    assert (done.returncode, done.stdout, done.stderr) == (0, "three.svg\n", "")
    svg = (tmp_path / "three.svg").read_text()
    for text in ("slow", "fast", "running", "training loss 3.000"):
        assert text in svg


@pytest.mark.slow
def test_plot_accepts_model_names_with_special_characters(microgpt, tmp_path) -> None:
    for name in ("<b>&amp;", "two\nlines", os.fsdecode(b"caf\xe9"), "名前"):
        trained(tmp_path / name)
    names = sorted(os.listdir(tmp_path))
    done = microgpt("plot", *names, "--output", "curves.svg")
    assert (done.returncode, done.stderr) == (0, "")
    svg = (tmp_path / "curves.svg").read_text()
    for text in ("&lt;b&gt;&amp;amp;", r"two\nlines", r"caf\udce9", "名前"):
        assert text in svg


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["damaged"], "damaged/meta.json: n_embd: field required"),
        (["begun"], "begun/history.jsonl is empty: training has just started; try again later"),
        (["broken"], "broken/history.jsonl, line 2: invalid JSON: EOF"),
        (["nowhere"], "nowhere does not exist; use a directory"),
        (["damaged", "--output", "x.gif"], "the chart must be a .png or .svg file, got x.gif"),
        ([], "output "),
    ],
)
def test_plot_refuses_damaged_histories_and_other_formats(
    microgpt, tmp_path, args, problem
) -> None:
    (trained(tmp_path / "damaged") / "meta.json").write_text('{"vocab_size": 27}')
    trained(tmp_path / "begun", b"")
    trained(tmp_path / "broken", BEGUN + b'{"step": 20, "lo')
    assert refused(microgpt("plot", *args)).startswith(problem)
    assert sorted(os.listdir(tmp_path)) == ["begun", "broken", "damaged"]
