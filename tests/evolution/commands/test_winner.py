"""What a search does not overwrite."""

import pytest
from commands import refused

pytestmark = pytest.mark.usefixtures("made_up_names")
SEARCH = ("evolve", "--input", "names.txt")


def test_evolve_does_not_replace_another_model(microgpt, text_model, tmp_path) -> None:
    error = refused(microgpt(*SEARCH, "--train-winner", text_model))
    assert "use another directory with --train-winner" in error
    assert not (tmp_path / "experiments").exists()


def test_evolve_explains_why_it_reads_an_existing_genome_file(microgpt, tmp_path) -> None:
    (tmp_path / "genome.json").write_text("mine")
    problem = "(the winner is compared with the genome.json of this directory; rename that file, or"
    assert problem in refused(microgpt(*SEARCH))
    assert (tmp_path / "genome.json").read_text() == "mine"
