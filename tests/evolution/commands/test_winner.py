"""What a search does not overwrite."""

import pytest
from commands import refused

pytestmark = pytest.mark.usefixtures("made_up_names")
SEARCH = ("evolve", "--input", "names.txt")


def test_evolve_does_not_replace_another_model(microgpt, text_model, tmp_path) -> None:
    error = refused(microgpt(*SEARCH, "--train-winner", text_model))
    assert "use another directory with --train-winner" in error
    assert not (tmp_path / "experiments").exists()


def test_evolve_does_not_replace_a_file_that_is_no_genome(microgpt, tmp_path) -> None:
    (tmp_path / "genome.json").write_text("mine")
    error = refused(microgpt(*SEARCH))
    assert error.startswith("genome.json: ")
    assert error.endswith("; rename the file, or replace it with --force")
    assert (tmp_path / "genome.json").read_text() == "mine"
