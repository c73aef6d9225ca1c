"""Reading a recorded search: what does not belong to it is refused, in one sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
from searches import SETTINGS, edit_evaluations

from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords, BudgetedSettings
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import VALUES, Genome
from microgpt_evolution.objectives.scores import score_names
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.search.search_records import Records
from microgpt_report.search_report import search_report
from microgpt_report.search_run import read_search_run

SCORED = {"fitness": None, "samples": 5, "population": 3}
HYDRA = SETTINGS.model_copy(update={"objective": "hydra", "generations": 1, **SCORED})
AESTHETIC = SETTINGS.model_copy(update={"objective": "aesthetic", **SCORED})
GENOME = Genome(n_tokens=40)
STRAY = "does not belong to this search; if a line was removed, resume the run"


def recorded(folder: Path, settings=SETTINGS) -> Path:
    """Record a search as if its organisms had been trained."""
    search, scores = settings.search(), score_names(["mama"], set())
    with Records.begin(folder, "evolve", settings, is_stamped=False) as records:
        for _ in range(settings.n_generations):
            asked = search.ask()
            found = [Evaluation("ok", 2 + o.slot, 2.5, 2.25, scores=scores) for o in asked]
            if settings.objective == "loss":
                found = [replace(each, scores=None) for each in found]
            for organism, evaluation in zip(asked, found, strict=True):
                records.add(organism.trial, evaluation, flops=7, n_params=4192)
            search.tell(found)
    return folder / "evolve"


@pytest.mark.parametrize("settings", [SETTINGS, AESTHETIC, HYDRA])
def test_a_recorded_search_is_read_also_before_its_end(tmp_path, settings) -> None:
    run = recorded(tmp_path, settings)
    found = read_search_run(run)
    assert not found.has_ended
    search_report(found)
    lines = (run / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    for n in range(1, len(lines)):
        (run / "evaluations.jsonl").write_bytes(b"".join(lines[:n]))
        assert len(read_search_run(run).lines) == n


def test_the_report_marks_losses_on_documents_that_were_read(tmp_path) -> None:
    read = {"contamination": {"validation": 0.5, "test": 0.25}}
    for name, settings, marked in (("loss", SETTINGS, True), ("judge", AESTHETIC, False)):
        run = recorded(tmp_path / name, settings.model_copy(update=read))
        headline = search_report(read_search_run(run)).headline
        assert ("Held-out loss (contamination 50 %) " in headline) == marked


@pytest.mark.parametrize("settings", [SETTINGS, AESTHETIC, HYDRA])
@pytest.mark.parametrize("stray", ["g1-0", "g1-99", "g99-1"])
def test_an_evaluation_of_another_search_is_refused(tmp_path, settings, stray) -> None:
    run = recorded(tmp_path, settings)
    last = read_search_run(run).lines[-1].id
    edit_evaluations(run, f'"id":"{last}"', f'"id":"{stray}"')
    with pytest.raises(RunError, match=f"{stray}' {STRAY}"):
        read_search_run(run)


@pytest.mark.parametrize("settings", [SETTINGS, AESTHETIC, HYDRA])
def test_a_generation_after_an_incomplete_one_is_refused(tmp_path, settings) -> None:
    run = recorded(tmp_path, settings)
    _, *rest = (run / "evaluations.jsonl").read_bytes().splitlines(keepends=True)
    (run / "evaluations.jsonl").write_bytes(b"".join(rest))
    with pytest.raises(RunError, match=f"g2-\\d+' {STRAY}"):
        read_search_run(run)


@pytest.mark.parametrize(("settings", "score"), [(AESTHETIC, "judge"), (HYDRA, "weaver")])
def test_an_evaluation_without_its_score_is_refused(tmp_path, settings, score) -> None:
    run = recorded(tmp_path, settings)
    edit_evaluations(run, f'"{score}":', '"other":')
    with pytest.raises(RunError, match=f"'g1-1' lacks the score {score}; repeat the search"):
        read_search_run(run)


def test_a_budgeted_search_has_no_organism_with_number_0(tmp_path) -> None:
    settings = BudgetedSettings(
        input="names.txt", data_sha256="", budget=4e9, operations=1e9, seed=1, first=(GENOME,),
        values=VALUES, rates={},
    )  # fmt: skip
    evaluation = Evaluation("ok", losses=(2.5, 2.25))
    with BudgetedRecords.begin(tmp_path, "evolve", settings, is_stamped=False) as records:
        trial = Trial(GENOME, 1, "g1-0", "random", until=2)
        records.add(trial, evaluation, flops=7, n_params=4192)
    with pytest.raises(RunError, match=f"g1-0' {STRAY}"):
        read_search_run(tmp_path / "evolve")
    edit_evaluations(tmp_path / "evolve", "g1-0", "g1-1")
    assert not read_search_run(tmp_path / "evolve").has_ended
    (tmp_path / "evolve" / "genome.json").touch()
    assert read_search_run(tmp_path / "evolve").has_ended
