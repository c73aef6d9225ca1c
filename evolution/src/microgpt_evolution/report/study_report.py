"""The report of a study: its headline, facts, pictures and tables."""

from operator import attrgetter
from pathlib import Path
from statistics import fmean

from microgpt import duration, publish
from microgpt_cli.charts.look import check_plots
from microgpt_evolution.budgeted.budgeted_settings import STUDENT, BudgetedSettings
from microgpt_evolution.comparison import Mean
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.page import Report, Section, render
from microgpt_evolution.report.ranked_study import RankedStudy, read_ranked_study
from microgpt_evolution.scaling.scaling import Scaling
from microgpt_evolution.sweep.sweep_settings import SweepSettings

N_ROWS, N_NAMES = 20, 12  # maximum number of rows in the table of the best, and of names in each
N_HEX = 12  # number of SHA-256 digits shown
SHOWN = ("seed", "seeds", "population", "generations", "fitness", "samples", "head", "sweep")


def write_report(directory: Path, file: Path) -> None:
    """Write the report of a study to an HTML file atomically.

    Raises:
        StudyError: the study is missing, damaged or empty.
        ConfigError: the extra `plots` is not installed.
    """
    study = read_ranked_study(directory)
    check_plots()
    publish(file.parent, {file.name: render(study_report(study)).encode()})


def study_report(study: RankedStudy) -> Report:
    """Return the report of a study, which may still be running."""
    settings, records = study.settings, study.records
    headline, facts = _result(study) if study.winner else ("No trial has finished", {})
    n_failed = sum(not record.is_ok for record in records)
    giga = sum(record.flops for record in records) / 1e9
    cost = f"{giga:{',.0f' if giga >= 999.5 else '.3g'}} GFLOP, {_seconds(study)} of training"
    if isinstance(settings, BudgetedSettings):
        cost += f", {giga * 1e9 / settings.budget:.0%} of the budget"
    facts |= {
        "trials": f"{len(records):,}{f' ({n_failed:,} failed)' if n_failed else ''}",
        "cost": cost,
        "data": f"{settings.input}, sha256 {settings.data_sha256[:N_HEX]}…",
    }
    for name, value in settings:
        if name in SHOWN and value is not None:
            facts[name] = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    title = f"{settings.kind.title.capitalize()}: {study.name}"
    return Report(headline, title, facts, _sections(study))


def _sections(study: RankedStudy) -> list[Section]:
    from microgpt_evolution.report import scaling_chart, trial_charts

    if not study.winner:
        return []
    if isinstance(study.settings, SweepSettings):
        scaling = Scaling.of(study.records, study.settings.contamination.get("validation", 0.0))
        caption = "Means over the seeds with 95 % confidence intervals."
        chart = scaling_chart.draw(scaling)
        return [Section("scaling", "Scaling of the loss", caption, chart), _best(study)]
    curves = []
    if isinstance(study.settings, BudgetedSettings):
        curves = [trial_charts.during_training(study)]
    return [trial_charts.by_generation(study), *curves, _best(study), trial_charts.by_size(study)]


def _result(study: RankedStudy) -> tuple[str, dict[str, str]]:
    """Return a headline, such as "Held-out loss 2.52 → 2.31, 43 trials in 6 s …", and facts."""
    assert study.winner
    winner, population = study.winner.record, study.population_of(study.winner.record)
    measure, first = study.measures[population], study.first(population)
    again = study.with_fresh_seeds(measure.of)
    state = "" if study.has_ended else " so far"
    change = _change(first.value.value, fmean(again) if again else study.winner.value.value)
    name = f"{measure.name[0].upper()}{measure.name[1:]}"
    headline = f"{name} {change}, {len(study.records):,} trials in {_seconds(study)}{state}"
    facts = {
        "start": f"{first.value}, {first.record.id or study.describe(first.record.genome)}",
        "winner": f"{study.winner.value}{', ' if winner.id else ''}{winner.id}{state}",
        "settings": study.describe(winner.genome),
    }
    mark = study.settings.mark()
    losses = {"val_loss": f"held-out loss{mark}"}
    losses["test_loss"] = f"test loss{study.settings.mark('test')}"
    tested = {name: study.with_fresh_seeds(attrgetter(key)) for key, name in losses.items()}
    for name, values in {measure.name: again, **tested}.items():
        if values:
            facts[f"winner, {name}"] = f"{Mean.of(values)}, {len(values)} fresh seeds"
    for record in study.records:
        if record.origin == STUDENT:
            teachers = ", ".join(record.parents)
            facts["student"] = f"{measure.of(record):.4f}{mark}, taught by {teachers}"
    if samples := (study.fresh or [winner])[0].samples:
        facts["names"] = first_names(samples, N_NAMES)
    return headline, facts


def _best(study: RankedStudy) -> Section:
    """Return the section with the best organisms of each population, or configurations."""
    rows = [
        [
            f"{each.record.id} {population}".strip(),
            f"{each.value}",
            f"{each.record.n_params:,}",
            study.describe(each.record.genome),
            first_names(each.record.samples, N_NAMES),
        ]
        for population in study.measures
        for each in study.ranked(population)[: N_ROWS // len(study.measures)]
    ]
    head = ["organism", "value", "parameters", "settings", "names"]
    used = [i for i in range(len(head)) if any(row[i] for row in rows)]
    rows = [[row[i] for i in used] for row in rows]
    caption = "Values as in the chart, with 95 % confidence intervals if there are several seeds."
    return Section("best", "The best", caption, head=[head[i] for i in used], rows=rows)


def _seconds(study: RankedStudy) -> str:
    return duration(sum(record.seconds for record in study.records))


def _change(start: float, end: float) -> str:
    """Format two numbers, such as "2.52 → 2.31"; if they are equal to 4 decimals, only one."""
    shown = ([f"{number:.{n}f}" for number in (start, end)] for n in (2, 3, 4))
    return next((" → ".join(pair) for pair in shown if pair[0] != pair[1]), f"{end:.4f}")
