"""What tests of the command share: names, and a genome of evolve-rust."""

import json
from pathlib import Path

import pytest
from searches import write_names


@pytest.fixture
def made_up_names(tmp_path: Path) -> None:
    """A file of a few hundred made-up names, to search on."""
    write_names(tmp_path)


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """A genome.json as evolve-rust writes it."""
    genes = {"n_emb": 12, "n_ctx": 8, "n_layer": 2, "n_head": 2, "n_ff_exp": 3, "steps": 60}
    path = tmp_path / "genome.json"
    path.write_text(
        json.dumps({**genes, "lr": 0.02, "loss": 1.5, "generation": 3, "evolved": True})
    )
    return path
