import json
import re
import shutil

import pytest
from commands import ok, refused
from searches import SMALL, changed, run_of

from microgpt import contamination, mark, split

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")


def test_a_search_can_be_resumed_and_its_winner_can_be_used(microgpt, tmp_path) -> None:
    primordial = microgpt("run")
    assert primordial.stdout.startswith("=== MicroGPT [Primordial] ===")
    done = ok(microgpt("evolve", *SMALL, "--train-winner", "winner"))
    assert " saved to genome.json" in done.stdout
    genome = json.loads((tmp_path / "genome.json").read_text())
    assert (genome["objective"], genome["fitness"], genome["seed"]) == ("loss", "held-out", 5)
    evolved = microgpt("run")
    assert evolved.stdout.startswith("=== MicroGPT [Evolved] ===")
    assert f"emb={genome['n_emb']}," in evolved.stdout
    assert microgpt("train", "--genome", "genome.json").returncode == 0
    assert microgpt("generate").returncode == 0
    assert microgpt("generate", "--model-dir", "winner").returncode == 0
    weights = (tmp_path / "winner" / "weights.json").read_bytes()
    for _ in range(2):  # a resumed run knows the directory, and replaces its own model
        assert microgpt("evolve", "--resume", str(run_of(tmp_path))).returncode == 0
        assert (tmp_path / "winner" / "weights.json").read_bytes() == weights
        shutil.rmtree(tmp_path / "winner")


def test_losses_on_documents_that_were_read_are_marked(microgpt, tmp_path) -> None:
    names = dict.fromkeys((tmp_path / "data/names.txt").read_text().split())
    docs = [*names, *map(str.upper, names)]
    (tmp_path / "twice.txt").write_text("\n".join(docs))
    found = contamination(split(docs, validation=0.1, test=0.1), ())
    assert 0 < found["test"] < 1
    done = ok(microgpt("evolve", *changed(SMALL, "--input", "twice.txt", "--generations", "1")))
    validation, test = mark(found["validation"]), mark(found["test"])
    assert f"losses are too low: validation{validation}, test{test}" in done.stderr
    assert f"{validation}, measured with fresh seeds" in done.stderr
    assert done.stdout.count(f"Held out{validation} ") == 1
    figures = re.findall(r"(?:loss <|best|g\d-\d:) (\d\..*?)(?:, diversity| \||\n)", done.stdout)
    assert len(figures) > 3
    assert all(figure.endswith(validation) for figure in figures)
    ran = ok(microgpt("run", "--input", "twice.txt"))
    assert re.search(rf"loss of the genome is \d\.\d{{4}}{re.escape(validation)}", ran.stderr)
    assert done.stdout.count(f"Test{test}") == 1
    settings = json.loads((run_of(tmp_path) / "settings.json").read_text())
    assert settings["contamination"] == found


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ("--population 0", "population must be >= 1, got 0"),
        ("--minutes 0", "--minutes must be a number greater than 0, got 0"),
        ("--minutes 1 --budget 1e9", "--minutes cannot be used with --budget"),
        ("--minutes 1 --generations 3", "--generations cannot be used with --minutes"),
        ("--budget 100", "operations are too few"),
        ("--input few.txt", "too few documents"),
        ("--head weaver", "head is only for objective hydra; omit --head"),
    ],
)
def test_bad_evolve_options_are_refused(microgpt, tmp_path, args, problem) -> None:
    (tmp_path / "few.txt").write_text("anna\nemma\n")
    assert problem in refused(microgpt("evolve", *args.split()))
    assert not (tmp_path / "experiments").exists()


def test_resume_refuses_different_settings_or_data(microgpt, tmp_path) -> None:
    microgpt("evolve", *SMALL)
    run = f"experiments/{run_of(tmp_path).name}"
    error = refused(microgpt("evolve", "--resume", run, "--population", "9"))
    assert error == "--population cannot be used with --resume of a search; omit one of them"
    (tmp_path / "names.txt").write_text("\n".join(f"other{i}" for i in range(100)))
    before = (tmp_path / run / "settings.json").read_bytes()
    error = refused(microgpt("evolve", "--resume", run, "--generations", "6"))
    assert "is not the input of the search" in error
    assert (tmp_path / run / "settings.json").read_bytes() == before
