import json
import re
from pathlib import Path

import pytest
from searches import DOCS

import microgpt_evolution
from microgpt.errors import ConfigError
from microgpt.training.train import train
from microgpt_evolution import EvolutionResult, NoWinnerError, SearchEvent, evolve, read_genome

pytestmark = pytest.mark.compiled

SHORT = {"population": 4, "generations": 2, "seed": 3}


@pytest.fixture(scope="module")
def found() -> EvolutionResult:
    return evolve(DOCS, **SHORT)


def test_microgpt_evolution_exports_only_its_public_names() -> None:
    assert microgpt_evolution.__all__ == [
        "EvolutionResult", "Genome", "NoWinnerError", "SearchEvent", "evolve", "read_genome",
    ]  # fmt: skip
    assert all(getattr(microgpt_evolution, name) for name in microgpt_evolution.__all__)
    with pytest.raises(AttributeError, match="colony"):
        _ = microgpt_evolution.colony


def test_the_loss_of_the_winner_is_its_mean_over_fresh_seeds(found) -> None:
    assert found.record.val_loss == pytest.approx(sum(run.val_loss for run in found.fresh) / 3)


def test_the_winner_has_a_genome_to_train_and_ten_names(found) -> None:
    genome = found.genome
    trained = train(DOCS, model=genome.model(), config=genome.train_config(seed=1))
    assert (trained.ending, trained.model.n_embd) == ("steps", genome.n_embd)
    assert len(found.names) == 10


def test_the_repr_of_a_search_is_one_short_line(found) -> None:
    assert re.fullmatch("<EvolutionResult: [^\n]{,200}>", repr(found))


def test_a_resumed_search_logs_a_target_and_has_the_same_winner(found, tmp_path: Path) -> None:
    run = tmp_path / "run"
    events = []

    def stop_soon(event: SearchEvent) -> None:
        events.append(event)
        if len(events) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evolve(DOCS, **SHORT, run_dir=run, on_event=stop_soon)
    n_before = len((run / "trials.jsonl").read_text().splitlines())
    lines: list[str] = []
    assert evolve(DOCS, **SHORT, workers=2, run_dir=run, log=lines.append).record == found.record
    assert lines[0].startswith("Target: loss < ")
    ids = [json.loads(line)["id"] for line in (run / "trials.jsonl").read_text().splitlines()]
    assert 0 < n_before < len(ids) == len(set(ids))
    assert read_genome(run / "genome.json") == found.record


def test_evolve_refuses_to_resume_with_other_settings_or_data(tmp_path: Path) -> None:
    evolve(DOCS, population=2, generations=2, run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"population is 3, but .* has 2"):
        evolve(DOCS, population=3, generations=2, run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"generations is 1, but .* has 2"):
        evolve(DOCS, population=2, generations=1, run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match="data_sha256 is"):
        evolve([*DOCS, "mira"], population=2, generations=2, run_dir=tmp_path / "run")


def test_evolve_raises_an_error_if_all_fresh_seeds_fail(monkeypatch) -> None:
    monkeypatch.setattr("microgpt.InferenceGpt.evaluate", None)  # it is called only for test losses
    with pytest.raises(NoWinnerError, match=r"g1-\d, .*'NoneType' .*; use another seed"):
        evolve(DOCS, population=2, generations=1)


@pytest.mark.parametrize("objective", ["aesthetic", "hydra"])
def test_aesthetic_and_hydra_searches_return_a_score(objective) -> None:
    found = evolve(DOCS, objective=objective, population=2, generations=1)
    assert found.record.objective == objective
    assert found.record.score is not None
    assert found.study.settings.measure == "judge"
    assert f"; score {found.record.score:.4f}; " in repr(found)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"workers": 0}, "workers"),
        ({"objective": "hydra", "head": "origin"}, "head: input should be"),
        ({"objective": []}, "objective must be"),
        ({"population": 10**9}, "population: input should be less than or equal to 10000, got 10"),
    ],
)
def test_evolve_refuses_invalid_arguments(options, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        evolve(DOCS, **options)
