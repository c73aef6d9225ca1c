"""Sweeps from Python."""

import pytest
from searches import DOCS, vowels

from microgpt.errors import ConfigError, DataError
from microgpt_evolution.grid_sweep import sweep


def width(genome: object) -> float:
    return genome.n_embd


def test_a_sweep_can_measure_a_custom_function(tmp_path) -> None:
    axes = {"n_embd": [8, 16], "steps": [20]}
    run = {"objective": vowels, "seeds": 2, "run_dir": tmp_path / "run"}
    found = sweep(DOCS, axes, **run)
    assert [(each.genome.n_embd, each.seed) for each in found] == [
        (8, 42), (8, 43), (16, 42), (16, 43)
    ]  # fmt: skip
    assert all(-1 <= each.value <= 0 < each.val_loss for each in found)
    assert sweep(DOCS, axes, workers=1, **run) == found
    by_genome = sweep(DOCS, axes, objective=width, seeds=1)
    assert [each.value for each in by_genome] == [8, 16]
    with pytest.raises(ConfigError, match=r"is .*, but .* has .*; pass more, or begin another"):
        sweep(DOCS, axes, **(run | {"objective": None}))


def test_more_seeds_of_a_finished_sweep_train_only_these(tmp_path) -> None:
    axes, run = {"n_embd": [8, 16], "steps": [5]}, tmp_path / "run"
    before = sweep(DOCS, axes, seeds=1, run_dir=run)
    lines = (run / "trials.jsonl").read_text()
    found = sweep(DOCS, axes, seeds=3, run_dir=run)
    assert [each.seed for each in found] == [42, 43, 44] * 2
    assert found[::3] == before
    assert (run / "trials.jsonl").read_text().startswith(lines)
    assert found == sweep(DOCS, axes, seeds=3, run_dir=run)
    for other in ({"seeds": 2}, {"seeds": 3, "seed": 7}, {"seeds": 4, "seed": 43}):
        with pytest.raises(ConfigError, match=r"seeds is .*, but .* has .42, 43, 44."):
            sweep(DOCS, axes, run_dir=run, **other)


def test_a_path_is_not_a_text(tmp_path) -> None:
    for path in ("data/names.txt", tmp_path):
        with pytest.raises(DataError, match="list of texts"):
            sweep(path, {"n_embd": [8]})
