"""The report of a study: its headline, facts, pictures and tables."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

from microgpt import duration, publish
from microgpt_cli.charts.look import check_plots
from microgpt_evolution.comparison import Mean
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.page import Report, Section, render
from microgpt_evolution.report.ranking import Candidate, RankedStudy, Ranking, read_ranked_study
from microgpt_evolution.report.scaling import Scaling
from microgpt_evolution.study_settings import BudgetedSettings, SweepSettings
from microgpt_evolution.trial import STUDENT, TrialRecord

N_ROWS, N_NAMES = 20, 12  # maximum number of rows in the table of the best, and of names in each
N_HEX = 12  # number of SHA-256 digits shown
SHOWN = ("seed", "seeds", "population", "generations", "fitness", "samples", "head", "sweep")


def write_report(directory: Path, file: Path) -> None:
    """Write the report of a study to an HTML file atomically; see `report_page`."""
    page = report_page(directory)
    publish(file.parent, {file.name: page.encode()})


def report_page(directory: Path) -> str:
    """Return the report of a study as HTML.

    Raises:
        StudyError: the study is missing, damaged or empty.
        ConfigError: the extra `plots` is not installed.
    """
    study = read_ranked_study(directory)
    check_plots()
    return render(study_report(study))


def study_report(study: RankedStudy) -> Report:
    """Return the report of a study, which may still be running."""
    title = f"{study.settings.kind.capitalize()}: {study.name}"
    if not study.winner:
        return Report("No trial has finished", title, dict(_cost(study)), [])
    ranking, winner = study.winner
    state = "" if study.settings.n_trials == len(study.records) else " so far"
    lead = _lead if isinstance(study.settings, SweepSettings) else _improvement
    result, n_trials = lead(ranking, winner), f"{len(study.records):,} trials"
    headline = f"{result[0].upper()}{result[1:]}, {n_trials} in {_seconds(study)}{state}"
    facts = dict(_outcome(study, ranking, winner, state)) | dict(_cost(study))
    return Report(headline, title, facts, _sections(study))


def _improvement(ranking: Ranking, winner: Candidate) -> str:
    """Return what a search has improved; both numbers are those of one training run."""
    return f"{ranking.measure.label} {ranking.first.mean} → {winner.mean}"


def _lead(ranking: Ranking, winner: Candidate) -> str:
    """Return the lowest loss of a sweep, and whether it can be told apart from the second."""
    loss, others = f"{ranking.measure.label} {winner.mean.value:.4f}", ranking.candidates[1:]
    if not others or len(others[0].trials) < len(winner.trials):
        return loss  # no other configuration has results for all seeds
    lead = others[0].above(winner)
    is_clear = "is clear" if lead.is_clear else "may be chance"
    return f"lowest {loss}, whose lead of {lead} over the second {is_clear}"


def _outcome(
    study: RankedStudy, ranking: Ranking, winner: Candidate, state: str
) -> Iterator[tuple[str, str]]:
    """Yield the facts on the winner."""
    measure, record, settings = ranking.measure, winner.record, study.settings
    mark = measure.mark
    if isinstance(settings, SweepSettings):
        yield "winner", f"{winner.mean}{mark}{state}"
    else:
        yield "start", f"{ranking.first.mean}{mark}, {ranking.first.record.id}"
        yield "winner", f"{winner.mean}{mark}, {record.id}{state}"
    yield "settings", study.describe(record.genome)
    measured: dict[str, Callable[[TrialRecord], float | None]] = {
        measure.label: measure.of,
        f"held-out loss{settings.mark()}": attrgetter("val_loss"),
        f"test loss{settings.mark('test')}": attrgetter("test_loss"),
    }
    for name, of in measured.items():
        if values := [value for each in study.fresh if (value := of(each)) is not None]:
            yield f"winner, {name}", f"{Mean.of(values)}, {len(values)} fresh seeds"
    for each in study.records:
        if each.origin == STUDENT and (loss := measure.of(each)) is not None:
            yield "student", f"{loss:.4f}{mark}, taught by {', '.join(each.parents)}"
    if samples := (study.fresh or [record])[0].samples:
        yield "names", first_names(samples, N_NAMES)


def _cost(study: RankedStudy) -> Iterator[tuple[str, str]]:
    """Yield the facts on the trials, the data and the settings."""
    settings, records = study.settings, study.records
    n_failed = sum(not record.is_ok for record in records)
    giga = sum(record.flops for record in records) / 1e9
    cost = f"{giga:{',.0f' if giga >= 999.5 else '.3g'}} GFLOP, {_seconds(study)} of training"
    if isinstance(settings, BudgetedSettings):
        cost += f", {giga * 1e9 / settings.budget:.0%} of the budget"
    yield "trials", f"{len(records):,}{f' ({n_failed:,} failed)' if n_failed else ''}"
    yield "cost", cost
    yield "data", f"{settings.input}, sha256 {settings.data_sha256[:N_HEX]}…"
    for name, value in settings:
        if name in SHOWN and value is not None:
            yield name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _sections(study: RankedStudy) -> list[Section]:
    from microgpt_evolution.report import charts  # imports Altair, an extra

    settings = study.settings
    if isinstance(settings, SweepSettings):
        chart = charts.draw_scaling(Scaling(study.rankings[0]))
        caption = "Means over the seeds with 95 % confidence intervals."
        return [Section("scaling", "Scaling of the loss", caption, chart), _best(study)]
    is_budgeted = isinstance(settings, BudgetedSettings)
    curves = [charts.during_training(study)] if is_budgeted else []
    return [charts.by_generation(study), *curves, _best(study), charts.by_size(study)]


def _best(study: RankedStudy) -> Section:
    """Return the section with the best organisms of each population, or configurations."""
    rows = [
        [
            f"{each.record.id} {ranking.name}".strip(),
            f"{each.mean}",
            f"{each.record.n_params:,}",
            study.describe(each.genome),
            first_names(each.record.samples, N_NAMES),
        ]
        for ranking in study.rankings
        for each in ranking.candidates[: N_ROWS // len(study.rankings)]
    ]
    labels = {ranking.measure.label for ranking in study.rankings}
    value = labels.pop() if len(labels) == 1 else "score"
    head = ["organism", value, "parameters", "settings", "names"]
    used = [i for i in range(len(head)) if any(row[i] for row in rows)]
    rows = [[row[i] for i in used] for row in rows]
    caption = "Values as in the chart, with 95 % confidence intervals if there are several seeds."
    return Section("best", "The best", caption, head=[head[i] for i in used], rows=rows)


def _seconds(study: RankedStudy) -> str:
    return duration(sum(record.seconds for record in study.records))
