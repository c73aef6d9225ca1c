"""What a search overwrites with its winner, and what it does not."""

import pytest
from commands import ok, refused
from searches import run_of

from microgpt import load

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")
SEARCH = ("evolve", "--input", "names.txt")
SHORT = (*SEARCH, "--population", "2", "--generations", "1")


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


@pytest.mark.parametrize("is_own", [False, True])
def test_an_interrupted_winner_is_trained_again(microgpt, tmp_path, monkeypatch, is_own) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    search = (*SHORT, "--train-winner", "winner", "--force")
    if is_own:  # the model of before has another genome
        ok(microgpt(*search))
        search = ("evolve", "--resume", run_of(tmp_path), "--generations", "4")
    else:
        ok(microgpt("train", "--steps", "5", "--model", "winner"))
    before = load(tmp_path / "winner").weights
    with monkeypatch.context() as patch:
        patch.setattr("microgpt_cli.training.job_run.train_job", interrupt)
        assert "resume with: microgpt evolve --resume" in microgpt(*search).stderr
    assert load(tmp_path / "winner").weights == before
    resume = ("evolve", "--resume", run_of(tmp_path))
    assert "or replace the model with --force" in refused(microgpt(*resume))
    ok(microgpt(*resume, "--force"))
    assert load(tmp_path / "winner").weights != before
    assert "so nothing changed" in ok(microgpt(*resume)).stderr
    ok(microgpt("train", "--steps", "6", "--model", "winner", "--force"))
    assert "use another directory with --train-winner" in refused(microgpt(*resume))
