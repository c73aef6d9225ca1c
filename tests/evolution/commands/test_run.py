import json
from pathlib import Path

import pytest
from commands import refused
from json_files import edit

pytestmark = pytest.mark.compiled

EVOLVED = [
    "=== MicroGPT [Evolved] ===",
    '"I have become"',
    "Loaded genome from generation 3 (loss: 1.5000)",
    "",
]


@pytest.fixture(autouse=True)
def names(tmp_path: Path) -> None:
    """Write data/names.txt in the working directory of the commands."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/names.txt").write_text("anna\nemma\nava\nmia\n")


def lines_of(done) -> list[str]:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_run_notes_the_loss_and_the_different_data_of_a_genome(microgpt, genome) -> None:
    edit(genome, val_loss=2.25, data_sha256="0" * 64)
    first, last = microgpt("run").stderr.splitlines()
    assert first == "note: the genome was found with data other than data/names.txt"
    assert last.startswith("note: these losses are for the last training document; ")
    assert last.endswith(" is 2.2500")


def test_run_trains_and_samples_like_train_and_generate(microgpt, genome) -> None:
    lines = lines_of(microgpt("run", "--seed", "7"))
    trained = microgpt("train", "--genome", "genome.json", "--seed", "7", "--num-samples", "0")
    loss = trained.stdout.splitlines()[-1].split()[-1]
    assert lines[-1].startswith(f"Organism: evolved | Loss: {loss} | ")
    options = ("--temperature", "1", "--num-samples", "10", "--seed", "7", "--json")
    samples = json.loads(microgpt("generate", *options).stdout)["samples"]
    start = lines.index("--- Generation ---") + 1
    assert lines[start : start + 10] == [f"> {name}" for name in samples]


def test_command_line_options_override_genes(microgpt, genome) -> None:
    lines = lines_of(microgpt("run", "-e", "16", "-y", "1", "-c", "16", "--ff", "1", "-s", "50"))
    assert lines[4].endswith("for 50 steps (lr=0.02, emb=16, head=2, layer=1, ctx=16, ff=1)")


def test_the_silent_option_prints_only_a_banner_and_the_loss(microgpt, genome) -> None:
    loud = lines_of(microgpt("run"))
    assert lines_of(microgpt("run", "--silent")) == [*EVOLVED, "", loud[-1]]


def test_run_refuses_invalid_genes_before_printing_anything(microgpt) -> None:
    assert refused(microgpt("run", "--steps", "0")) == "steps must be >= 1, got 0"
