import hashlib
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt import load


@pytest.fixture(autouse=True)
def names(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\nava\nmia\n")


def train(microgpt, *args: str):
    return microgpt("train", "--input", "names.txt", "--genome", "genome.json", *args)


def test_a_genome_configures_new_but_not_resumed_training_runs(microgpt, genome, tmp_path) -> None:
    ok(train(microgpt))
    ok(microgpt("train", "--resume", "output", "--steps", "80"))
    meta = load(tmp_path / "output").meta
    assert (meta.n_embd, meta.n_head, meta.n_layer, meta.block_size) == (12, 2, 2, 8)
    assert meta.n_ff_exp == 3
    assert (meta.training["steps"], meta.training["lr"]) == (80, 0.02)
    assert meta.training["batch_size"] == 1
    assert meta.training["genome"] == hashlib.sha256(genome.read_bytes()).hexdigest()
    error = refused(microgpt("train", "--resume", "output", "--genome", "genome.json"))
    assert error == "--genome cannot be used with --resume; omit one of them"


def test_options_override_a_genome_even_with_default_values(microgpt, genome, tmp_path) -> None:
    train(microgpt, "--n-embd", "16", "--steps", "30")
    meta = load(tmp_path / "output").meta
    assert (meta.n_embd, meta.n_head, meta.training["steps"]) == (16, 2, 30)
