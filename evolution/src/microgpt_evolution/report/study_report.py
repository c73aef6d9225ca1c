"""The report of a study: its headline, facts, chart and table."""

from collections.abc import Callable, Iterator
from pathlib import Path

from microgpt import duration, in_short, publish
from microgpt_cli.charts.look import check_plots
from microgpt_evolution.comparison import Mean
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.page import Report, render
from microgpt_evolution.report.ranking import TESTED, RankedStudy, read_ranked_study
from microgpt_evolution.report.tables import Cells, Rows, n_params, ranking_of_settings, rows_of
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import STUDENT, TrialRecord

N_ROWS, N_NAMES = 30, 12  # maximum number of rows in the table, and of names in each
SHOWN = ("input", "seed", "seeds", "population", "generations", "fitness", "head")
SEARCHED = (
    "One mark per trial, in the order of the search; {} is better. Line: the best so far. Retests "
    "with other seeds follow at the right; they show how much of a value is luck."
)
SWEPT = "Means over the seeds with 95 % confidence intervals. Lines: the lowest losses."


def write_report(directory: Path, file: Path) -> None:
    """Write the report of a study; raise ConfigError if the extra `plots` is not installed."""
    study = read_ranked_study(directory)
    check_plots()
    publish(file.parent, {file.name: render(study_report(study)).encode()})


def study_report(study: RankedStudy) -> Report:
    """Return the report of a study, which may still be running."""
    settings, title = study.settings, f"{study.settings.kind.capitalize()}: {study.name}"
    if not study.winner:
        return Report("No trial has finished", title, dict(_costs(study)))
    from microgpt_evolution.report import charts  # imports Altair, an extra

    ranking, facts = study.winner[0], dict(_outcome(study)) | dict(_costs(study))
    trained = [record for record in study.records if record.origin != TESTED]
    took = duration(sum(record.seconds for record in trained))
    state = "" if settings.n_trials == len(study.records) else " so far"
    headline = f"{_result(study)}, {len(trained):,} trials in {took}{state}"
    if isinstance(settings, SweepSettings):
        chart, caption = charts.draw_effects(ranking), SWEPT
    else:
        better = "higher" if ranking.measure.is_score else "lower"
        chart, caption = charts.draw_trials(study), SEARCHED.format(better)
    return Report(headline, title, facts, chart, caption, _table(study))


def _result(study: RankedStudy) -> str:
    """Return what a search has improved, or the lead of the best settings of a sweep."""
    assert study.winner
    ranking, winner = study.winner
    label = ranking.measure.label
    if not isinstance(study.settings, SweepSettings):  # both values are of one training run
        return f"{label[0].upper()}{label[1:]} {ranking.first.mean} → {winner.mean}"
    loss, others = f"Lowest {label} {winner.mean.value:.4f}", ranking.candidates[1:]
    if not others or len(others[0].values) < len(winner.values):
        return loss  # no other configuration has results for all seeds
    lead = others[0].above(winner)
    is_clear = "is clear" if lead.is_clear else "may be chance"
    return f"{loss}, whose lead of {lead} over the second {is_clear}"


def _outcome(study: RankedStudy) -> Iterator[tuple[str, str]]:
    """Yield the facts on the winner."""
    assert study.winner
    ranking, winner = study.winner
    measure, record, settings = ranking.measure, winner.record, study.settings
    test = f"test loss{settings.mark('test')}"
    if not isinstance(settings, SweepSettings):
        yield "start", f"{measure.label} {ranking.first.mean}, {ranking.first.record.id}"
    yield "winner", f"{measure.label} {winner.mean}, {record.id}".removesuffix(", ")
    yield "settings", study.describe(record.genome)
    measured: dict[str, Callable[[TrialRecord], float | None]] = {
        measure.label: measure.of,
        f"held-out loss{settings.mark()}": lambda each: each.val_loss,
        test: lambda each: each.test_loss,
    }
    for name, of in measured.items():
        if values := [value for each in study.fresh if (value := of(each)) is not None]:
            yield f"winner, {name}", f"{Mean.of(values)}, {len(values)} fresh seeds"
    for each in study.records:
        if each.origin == STUDENT and (loss := measure.of(each)) is not None:
            yield "student", f"{measure.label} {loss:.4f}, taught by {', '.join(each.parents)}"
        if each.origin == TESTED:
            yield test, f"{each.test_loss:.4f}, {each.parents[0]}"
    if samples := (study.fresh or [record])[0].samples:
        yield "names", first_names(samples, N_NAMES)


def _costs(study: RankedStudy) -> Iterator[tuple[str, str]]:
    """Yield the facts on the trials and the settings."""
    spent, budget = sum(each.flops for each in study.records), getattr(study.settings, "budget", 0)
    yield "operations", f"{in_short(spent)} of {in_short(budget)}" if budget else in_short(spent)
    if n_failed := sum(not record.is_ok for record in study.records):
        yield "failed trials", f"{n_failed:,}"
    for name, value in study.settings:
        if name in SHOWN and value is not None:
            yield name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _table(study: RankedStudy) -> Rows:
    """Return the table of the best organisms of each population, or of the best settings."""
    if isinstance(study.settings, SweepSettings):
        return ranking_of_settings(study.rankings[0], N_ROWS)
    n, (label, *others) = N_ROWS // len(study.rankings), (r.measure.label for r in study.rankings)
    population = {each: r.name for r in study.rankings for each in r.candidates[:n]}
    cells: Cells = {
        "trial": lambda each: f"{each.record.id} {population[each]}".strip(),
        "score" if others else label: lambda each: each.mean,
        "parameters": n_params,
        "settings": lambda each: study.describe(each.genome),
        "names": lambda each: first_names(each.record.samples, N_NAMES),
    }
    return rows_of(population, cells)
