"""Tests of reports on recorded studies: rankings, contamination marks, and refused studies."""

import re
from dataclasses import replace
from pathlib import Path

import altair as alt
import pytest
from searches import SETTINGS, edit_evaluations, ranking_of

from microgpt_evolution.commands.report_command import report
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.generation_search import breeding_of
from microgpt_evolution.genome import VALUES, Genome
from microgpt_evolution.genome_file import GENOME as GENOME_FILE
from microgpt_evolution.genome_file import GenomeRecord, write_genome
from microgpt_evolution.objectives.aesthetic_judge import score_names
from microgpt_evolution.report.ranking import Ranking, describe_ranking, read_ranking
from microgpt_evolution.report.study_report import Report, render, study_report
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings, SweepSettings
from microgpt_evolution.trial import FRESH, STUDENT, Evaluation, Trial, TrialRecord

SCORED = {"fitness": None, "population": 3}
HYDRA = SETTINGS.model_copy(update={"objective": "hydra", "generations": 1, **SCORED})
AESTHETIC = SETTINGS.model_copy(update={"objective": "aesthetic", **SCORED})
GENOME = Genome(n_tokens=40)
BUDGETED = BudgetedSettings(
    input="names.txt", data_sha256="", budget=4e9, operations=1e9, seed=1, first=(GENOME,),
    values=VALUES,
)  # fmt: skip


def recorded(folder: Path, settings=SETTINGS) -> Path:
    """Record a search of organisms with invented losses, without training any."""
    search, scores = breeding_of(settings), score_names(["mama"], set())
    with Study.begin(folder, "evolve", settings, is_stamped=False) as records:
        for _ in range(3 if settings.objective == "hydra" else settings.generations):
            asked = search.ask()
            found = [
                Evaluation("ok", 2 + o.place[1], 2.5, 2 + o.place[1], scores=scores) for o in asked
            ]
            if settings.objective == "loss":
                found = [replace(each, scores=None) for each in found]
            for organism, evaluation in zip(asked, found, strict=True):
                records.add(organism, evaluation, flops=7, n_params=4192)
            search.tell(found)
    return folder / "evolve"


def sweep(folder: Path, steps: tuple[int, ...], failed: int = 0, **more) -> Path:
    """Record a sweep with losses of 4 and 5 for two seeds; each training run took 2 s."""
    more |= {"input": "/names.txt", "data_sha256": "abc", "seeds": (1, 2)}
    settings = SweepSettings(genomes=tuple(Genome(steps=n) for n in steps), **more)
    with Study.begin(folder, "sweep", settings, is_stamped=False) as records:
        for trial in settings.trials:
            found = Evaluation("ok", val_loss=3.0 + trial.seed, seconds=2.0)
            if trial.genome.steps == failed:
                found = Evaluation("crashed")
            records.add(trial, found, flops=7, n_params=4192)
    return records.directory


@pytest.mark.parametrize("settings", [SETTINGS, AESTHETIC, HYDRA])
def test_an_unfinished_search_can_be_ranked_after_each_evaluation(tmp_path, settings) -> None:
    run = recorded(tmp_path, settings)
    found = read_ranking(run)
    assert found.settings.n_trials is None
    assert study_report(found).headline.endswith(" so far")
    lines = (run / "trials.jsonl").read_bytes().splitlines(keepends=True)
    for n in range(1, len(lines)):
        (run / "trials.jsonl").write_bytes(b"".join(lines[:n]))
        assert len(read_ranking(run).records) == n


def test_a_hydra_search_is_ranked_by_its_judge_or_head_score(tmp_path) -> None:
    assert read_ranking(recorded(tmp_path, HYDRA)).measure.label == "judge score"
    found = read_ranking(recorded(tmp_path / "mirror", HYDRA.model_copy(update={"head": "mirror"})))
    assert found.measure.label == "mirror score"
    assert len(found.candidates) == len({record.id for record in found.records})


def test_retests_of_finalists_are_not_ranked_as_winners() -> None:
    def record(id: str, origin: str, loss: float) -> TrialRecord:
        trial = Trial(GENOME, 1, id, origin)
        return TrialRecord.join(trial, Evaluation("ok", loss, loss, loss), flops=7, n_params=9)

    records = [record("g1-1", "random", 2.5), record("g1-2", "mutant", 2.25)]
    records += [record("g1-1-again1", "confirm", 2.0)]
    winner = Ranking(SETTINGS, records).winner
    assert (winner.record.id, winner.mean.value) == ("g1-2", 2.25)


def test_the_report_shows_the_names_of_the_first_fresh_seed(tmp_path) -> None:
    run = recorded(tmp_path)
    write_genome(run / GENOME_FILE, GenomeRecord(genome=Genome(), loss=2.0, generation=1, seed=1))
    with Study(run, SearchSettings, is_locked=True) as study:
        for i in (3, 1, 2):
            trial = Trial(Genome(), i, f"g1-1-fresh{i}", FRESH, ("g1-1",))
            found = Evaluation("ok", 2.5, 2.5, samples=(f"name {i}",))
            study.add(trial, found, flops=7, n_params=9)
    assert study_report(read_ranking(run)).facts["names"] == "name 1"


READ = {"contamination": {"validation": 0.5, "test": 0.25}}
MARK = " (contamination 50 %)"


@pytest.mark.parametrize("record", [recorded, lambda folder, more: sweep(folder, (100,), **more)])
def test_the_report_marks_contaminated_losses(tmp_path, record) -> None:
    settings = SETTINGS.model_copy(update=READ) if record is recorded else READ
    report = study_report(read_ranking(record(tmp_path, settings)))
    assert re.match(rf"(Held|Lowest held)-out loss{re.escape(MARK)} ", report.headline)
    assert MARK in report.facts["winner"]


def test_a_report_marks_contamination_and_omits_failed_students() -> None:
    settings = BUDGETED.model_copy(update={**READ, "test_loss": 2.375})
    organism = TrialRecord(
        id="g1-1", genome=GENOME, seed=1, until=2, status="ok", losses=(2.5,), n_params=9, flops=7
    )
    student = {"id": "student", "origin": STUDENT, "parents": ("g1-1", "g1-2"), "losses": (2.25,)}
    taught = replace(organism, **student)
    report = study_report(Ranking(settings, [organism, taught]))
    assert report.headline.startswith(f"Held-out loss{MARK} 2.5000 → 2.5000, ")
    assert report.facts["student"] == f"held-out loss{MARK} 2.2500, taught by g1-2"
    test_loss = "test loss (contamination 25 %)"
    assert report.facts[f"student, {test_loss}"] == "2.3750 nats per character"
    failed = replace(taught, status="crashed", losses=())
    facts = study_report(Ranking(settings, [organism, failed])).facts
    assert "student" not in facts
    assert f"winner, {test_loss}" in facts


def test_the_headline_compares_the_first_and_the_best_score_of_the_search() -> None:
    """The winner's mean over fresh seeds, 3.0, is listed among the facts."""
    first, winner, fresh = (
        TrialRecord(
            id=id, origin=origin, parents=parents, genome=Genome(n_embd=n_embd), seed=seed,
            status="ok", scores={"judge": score}, n_params=9, flops=7,
        )
        for id, origin, parents, n_embd, seed, score in (
            ("g1-1", "primordial", (), 8, 1, 1.5),
            ("g1-2", "random", (), 16, 2, 2.5),
            ("g1-2-fresh1", "fresh", ("g1-2",), 16, 3, 3.0),
        )
    )  # fmt: skip
    report = study_report(Ranking(AESTHETIC, [first, winner, fresh], [fresh]))
    assert report.headline.startswith("Judge score 1.5000 → 2.5000, 3 trials")
    assert report.facts["winner, judge score"] == "3.0000, 1 fresh seeds"


def test_a_study_with_an_invalid_organism_id_is_refused(tmp_path) -> None:
    run = recorded(tmp_path)
    edit_evaluations(run, '"id":"g1-2"', '"id":"other"')
    with pytest.raises(StudyError, match="'other' is no valid organism id, such"):
        study_report(read_ranking(run))


def test_an_organism_is_ranked_by_the_lowest_loss_of_its_rungs(tmp_path) -> None:
    with Study.begin(tmp_path, "evolve", BUDGETED, is_stamped=False) as records:
        for until, losses in ((2, (2.5, 2.25)), (3, (2.75,))):
            trial = Trial(GENOME, 1, "g1-1", "random", until=until)
            records.add(trial, Evaluation("ok", losses=losses), flops=7, n_params=4192)
    found = read_ranking(tmp_path / "evolve")
    assert [each.mean.value for each in found.candidates] == [2.25]
    report = study_report(found)
    assert [row[:2] for row in report.table] == [("", "Held-out loss"), ("g1-1", "2.2500")]
    (rows,) = report.chart.to_dict()["datasets"].values()
    assert [(row["id"], row["value"]) for row in rows] == [("g1-1", 2.25)]


def test_a_sweep_report_gives_means_intervals_and_failed_trials(tmp_path) -> None:
    report = study_report(read_ranking(sweep(tmp_path, (100, 300), failed=300)))
    assert re.search("4.5000, 4 trials, 4 s of training so far$", report.headline)
    assert report.facts["failed trials"] == "2"
    assert ("Held-out loss", "4.5000 ± 6.3530") in zip(*report.table, strict=True)


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [((2.1, 2.2, 2.3), "0.1000 ± 0.0000 over the second is clear"),
     ((2.3, 2.1, 2.2), "0.1000 ± 0.4303 over the second may be chance")],
)  # fmt: skip
def test_a_sweep_headline_says_whether_the_lead_may_be_due_to_chance(losses, verdict) -> None:
    """The pairs differ by 0.1; or by 0.3, 0 and 0, so the half-width is 4.303 · 0.1732 / √3."""
    genome = Genome(dropout=0.1)
    ranking = ranking_of({genome: (2.0, 2.1, 2.2), replace(genome, lr=0.01): losses}, n_trials=6)
    expected = f"Lowest held-out loss 2.1000; its lead of {verdict}, 6 trials"
    assert study_report(ranking).headline.startswith(expected)


def test_a_sweep_report_separates_varied_from_shared_settings() -> None:
    losses = {Genome(dropout=0.1, lr=0.005 * n): (1.0 + n,) for n in (1, 2)}
    facts = study_report(ranking_of(losses)).facts
    assert facts["settings"] == "lr 0.005"
    assert facts["settings of all trials"].endswith("steps 1,000, dropout 0.1")


def test_a_report_page_escapes_control_characters() -> None:
    """Most control characters are not valid in HTML, and some could affect a terminal."""
    odd = "x\x1b]0;x\x07\x9b\u202e<é"
    chart = alt.Chart(alt.InlineData(values=[{"a": 1}])).mark_point()
    text = render(Report(odd, odd, {odd: odd}, chart, odd, [[odd], [f"{odd}\n{odd}"]]))
    assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert r"<td>x\x1b]0;x\x07\x9b\u202e&lt;é\nx" in text


ODD = "a\x1b[2J\x9b\u202eb\u2066\x07"
ESCAPED = r"a\x1b[2J\x9b\u202eb\u2066\x07"


def test_report_paths_are_escaped_on_a_terminal(tmp_path, monkeypatch, capsys) -> None:
    """The newest run is reported, even if its name contains control characters."""
    monkeypatch.chdir(tmp_path)
    run = Path("experiments", ODD)
    run.mkdir(parents=True)
    (run / "settings.json").touch()
    monkeypatch.setattr(
        "microgpt_evolution.report.study_report.write_report", lambda run: run / "report.html"
    )
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    report(None)
    assert capsys.readouterr().out.endswith(f"{ESCAPED}/report.html\n")


Losses = dict[Genome, tuple[float | None, ...]]


def lines_of(losses: Losses) -> list[str]:
    """Return the lines of the ranking of genomes with the given held-out losses."""
    return list(describe_ranking(ranking_of(losses), 10))


def rates(*losses: float) -> Losses:
    """Return losses for increasing learning rates; the losses of the seeds differ a little."""
    steps = zip((0.001, 0.003, 0.01), losses, strict=True)
    return {Genome(lr=lr): (loss - 0.001, loss, loss + 0.001) for lr, loss in steps}


def test_the_best_settings_come_first_in_the_ranking() -> None:
    _, _, *rows = lines_of(rates(2.4, 2.2, 2.3))
    assert [line.split()[:5] for line in rows] == [
        ["1", "0.003", "2.2000", "±", "0.0025"],
        ["2", "0.01", "2.3000", "±", "0.0025"],
        ["3", "0.001", "2.4000", "±", "0.0025"],
    ]


def test_settings_are_compared_with_the_best_ones_seed_by_seed() -> None:
    """The pairs differ by 0.1, 0.1 and 0.13, so the half-width is 4.303 · 0.01732 / √3."""
    losses = {Genome(lr=0.01): (2.1, 2.2, 2.3), Genome(lr=0.003): (2.2, 2.3, 2.43)}
    title, headings, first, second = lines_of(losses)
    assert title.endswith("; Behind 1: paired by seed)")
    assert headings.endswith("  Behind 1  Params  Operations")
    assert first.split() == ["1", "0.01", "2.2000", "±", "0.2484", "4,192", "1"]
    assert second.split()[5:8] == ["0.1100", "±", "0.0430"]


def test_configurations_with_diverged_runs_rank_last() -> None:
    losses = {**rates(2.4, 2.2, 2.3), Genome(lr=0.1): (2.0, None, 2.0)}
    assert lines_of(losses)[-1].endswith("2 of 3 seeds")


def test_a_ranking_lists_ten_settings_and_counts_the_rest() -> None:
    _, _, *rows, last = lines_of({Genome(lr=n / 1000): (2.0 + n,) * 3 for n in range(1, 13)})
    assert (len(rows), last) == (10, "… and 2 more")
