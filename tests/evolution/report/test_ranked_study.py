"""Reports of recorded studies: what is best, what is marked, and what is refused."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from searches import SETTINGS, edit_evaluations

from microgpt_evolution.budgeted.budgeted_settings import BudgetedSettings, BudgetedStudy
from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import VALUES, Genome
from microgpt_evolution.objectives.judge import score_names
from microgpt_evolution.report.ranked_study import RankedStudy, read_ranked_study
from microgpt_evolution.report.study_report import study_report
from microgpt_evolution.search.search_settings import Records
from microgpt_evolution.sweep.sweep_settings import SweepRecords, SweepSettings
from microgpt_evolution.trial import Evaluation, Trial, TrialRecord

SCORED = {"fitness": None, "samples": 5, "population": 3}
HYDRA = SETTINGS.model_copy(update={"objective": "hydra", "generations": 1, **SCORED})
AESTHETIC = SETTINGS.model_copy(update={"objective": "aesthetic", **SCORED})
GENOME = Genome(n_tokens=40)


def recorded(folder: Path, settings=SETTINGS) -> Path:
    """Record a search as if its organisms had been trained."""
    search, scores = settings.search(), score_names(["mama"], set())
    with Records.begin(folder, "evolve", settings, is_stamped=False) as records:
        for _ in range(settings.n_generations):
            asked = search.ask()
            found = [Evaluation("ok", 2 + o.slot, 2.5, 2 + o.slot, scores=scores) for o in asked]
            if settings.objective == "loss":
                found = [replace(each, scores=None) for each in found]
            for organism, evaluation in zip(asked, found, strict=True):
                records.add(organism.trial, evaluation, flops=7, n_params=4192)
            search.tell(found)
    return folder / "evolve"


def sweep(folder: Path, steps: tuple[int, ...], failed: int = 0, **more) -> Path:
    """Record a sweep whose training runs took 2 s each, with losses of 4 and 5 for two seeds."""
    settings = SweepSettings(
        sweep="steps",
        genomes=tuple(Genome(steps=n) for n in steps),
        seeds=(1, 2),
        input="/names.txt",
        data_sha256="abc",
        **more,
    )
    with SweepRecords.begin(folder, "sweep", settings, is_stamped=False) as records:
        for config, seed in records.settings.tasks:
            losses = dict.fromkeys(("val_loss", "last_loss", "train_loss"), 3.0 + seed)
            is_ok = config.steps != failed
            outcome = {"status": "ok", "seconds": 2.0, **losses} if is_ok else {"status": "crashed"}
            records.add(Trial(config, seed), Evaluation(**outcome), flops=7, n_params=4192)
    return records.directory


@pytest.mark.parametrize("settings", [SETTINGS, AESTHETIC, HYDRA])
def test_a_recorded_search_is_reported_also_before_its_end(tmp_path, settings) -> None:
    run = recorded(tmp_path, settings)
    found = read_ranked_study(run)
    assert not found.has_ended
    assert study_report(found).headline.endswith(" so far")
    lines = (run / "trials.jsonl").read_bytes().splitlines(keepends=True)
    for n in range(1, len(lines)):
        (run / "trials.jsonl").write_bytes(b"".join(lines[:n]))
        assert len(read_ranked_study(run).records) == n


def test_each_population_is_ranked_by_its_own_score(tmp_path) -> None:
    found = read_ranked_study(recorded(tmp_path, HYDRA))
    assert [*found.measures] == ["Weaver", "Mirror", "Spark"]
    slots = {
        name: {int(each.record.id.split("-")[1]) for each in found.ranked(name)}
        for name in found.measures
    }
    assert max(slots["Weaver"]) < min(slots["Mirror"]) <= max(slots["Mirror"]) < min(slots["Spark"])


def test_trials_with_more_seeds_cannot_win() -> None:
    def record(id: str, origin: str, loss: float) -> TrialRecord:
        trial = Trial(GENOME, 1, id, origin)
        return TrialRecord.of(trial, Evaluation("ok", loss, loss, loss), flops=7, n_params=9)

    records = [record("g1-1", "random", 2.5), record("g1-2", "mutant", 2.25)]
    records += [record("g1-1-again1", "confirm", 2.0)]
    study = RankedStudy("search", SETTINGS, records)
    assert study.winner
    assert (study.winner.record.id, study.winner.value.value) == ("g1-2", 2.25)
    assert study.first("").record.id == "g1-1"


@pytest.mark.parametrize("record", [recorded, lambda folder, more: sweep(folder, (100,), **more)])
def test_the_report_marks_losses_on_documents_that_were_read(tmp_path, record) -> None:
    read = {"contamination": {"validation": 0.5, "test": 0.25}}
    settings = SETTINGS.model_copy(update=read) if record is recorded else read
    headline = study_report(read_ranked_study(record(tmp_path, settings))).headline
    assert headline.startswith("Held-out loss (contamination 50 %) ")


def test_an_id_that_is_not_of_an_organism_is_refused(tmp_path) -> None:
    run = recorded(tmp_path)
    edit_evaluations(run, '"id":"g1-2"', '"id":"other"')
    with pytest.raises(StudyError, match="'other' is no id of an organism, such as g3-5; restore"):
        study_report(read_ranked_study(run))


def test_an_evaluation_without_its_score_is_not_ranked(tmp_path) -> None:
    run = recorded(tmp_path, AESTHETIC)
    edit_evaluations(run, '"judge":', '"other":')
    found = read_ranked_study(run)
    assert len(found.ranked("")) == len({record.id for record in found.records}) - 1


def test_a_budgeted_search_is_ranked_by_lowest_losses(tmp_path) -> None:
    settings = BudgetedSettings(
        input="names.txt", data_sha256="", budget=4e9, operations=1e9, seed=1, first=(GENOME,),
        values=VALUES,
    )  # fmt: skip
    with BudgetedStudy.begin(tmp_path, "evolve", settings, is_stamped=False) as records:
        for until, losses in ((2, (2.5, 2.25)), (3, (2.75,))):
            trial = Trial(GENOME, 1, "g1-1", "random", until=until)
            records.add(trial, Evaluation("ok", losses=losses), flops=7, n_params=4192)
    found = read_ranked_study(tmp_path / "evolve")
    assert [each.value.value for each in found.ranked("")] == [2.25]
    sections = [section.name for section in study_report(found).sections]
    assert sections == ["generations", "curves", "best", "sizes"]


def test_a_sweeps_report_has_means_and_intervals_over_seeds(tmp_path) -> None:
    found = read_ranked_study(sweep(tmp_path, (100, 300), failed=300))
    report = study_report(found)
    assert re.search("4.5000, 4 trials in 4 s so far$", report.headline)
    assert report.facts["trials"] == "4 (2 failed)"
    (best,) = [section for section in report.sections if section.name == "best"]
    assert [row[0] for row in best.rows] == ["4.5000 ± 6.3530"]
