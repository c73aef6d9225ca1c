import hashlib
import json
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt import load

GENES = {"n_emb": 12, "n_ctx": 8, "n_layer": 2, "n_head": 2, "n_ff_exp": 3, "steps": 60, "lr": 0.02}


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """A genome.json as evolve-rust writes it, and names to train on."""
    (tmp_path / "names.txt").write_text("anna\nemma\nava\nmia\n")
    path = tmp_path / "genome.json"
    path.write_text(json.dumps({**GENES, "loss": 1.5, "generation": 3, "evolved": True}))
    return path


def train(microgpt, *args: str):
    return microgpt("train", "--input", "names.txt", "--genome", "genome.json", *args)


def test_a_genome_sets_the_shape_and_the_training_settings(microgpt, genome, tmp_path) -> None:
    ok(train(microgpt))
    meta = load(tmp_path / "output").meta
    assert (meta.n_embd, meta.n_head, meta.n_layer, meta.block_size) == (12, 2, 2, 8)
    assert meta.n_ff_exp == 3
    assert (meta.training["steps"], meta.training["lr"]) == (60, 0.02)
    assert meta.training["batch_size"] == 1
    assert meta.training["genome"] == hashlib.sha256(genome.read_bytes()).hexdigest()


def test_options_override_a_genome_even_with_default_values(microgpt, genome, tmp_path) -> None:
    train(microgpt, "--n-embd", "16", "--steps", "30")
    meta = load(tmp_path / "output").meta
    assert (meta.n_embd, meta.n_head, meta.training["steps"]) == (16, 2, 30)


def test_a_resumed_training_run_remembers_its_genome(microgpt, genome, tmp_path) -> None:
    train(microgpt)
    ok(microgpt("train", "--resume", "output", "--steps", "80"))
    training = load(tmp_path / "output").meta.training
    assert training["steps"] == 80
    assert training["genome"] == hashlib.sha256(genome.read_bytes()).hexdigest()
    assert (
        refused(microgpt("train", "--resume", "output", "--genome", "genome.json"))
        == "--genome cannot be used with --resume; omit one of them"
    )


def test_a_genome_that_cannot_be_trained_is_refused(microgpt, genome, tmp_path) -> None:
    genome.write_text(genome.read_text().replace("12", "13"))
    problem = "genome.json: n_embd (13) must be divisible by n_head (2); try n_embd 12"
    assert refused(train(microgpt)) == problem
    assert not (tmp_path / "output").exists()
