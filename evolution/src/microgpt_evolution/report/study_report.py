"""The report of a study: a self-contained HTML page, which follows the system's color scheme."""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from microgpt import duration, in_short, printable, publish
from microgpt_cli.charts import FONT, SCHEMES, check_plots, picture
from microgpt_evolution.confidence_intervals import Mean
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.genome import values_of
from microgpt_evolution.objectives.aesthetic_judge import first_names
from microgpt_evolution.report.ranking import Ranking, best_of, read_ranking
from microgpt_evolution.research.research import FINAL, Research
from microgpt_evolution.research.sequential_test import KEPT, SEARCH
from microgpt_evolution.strategies.grid import describe
from microgpt_evolution.study_settings import ResearchSettings, SweepSettings, read_settings
from microgpt_evolution.trial import STUDENT, TrialRecord

N_ROWS, N_NAMES = 30, 12  # maximum number of rows in the table, and of the winner's names
SHOWN = ("input", "seed", "seeds", "population", "generations", "fitness", "head")
SEARCHED = (
    "One mark per trial, in order of completion; {} is better. Line: the best so far. Diamonds: "
    "beyond the axis. The best value is partly luck; the test loss and fresh seeds show how much."
)
SWEPT = (
    "Means over the seeds with 95 % confidence intervals, best first. Diamonds: beyond the axis."
)
TRIED = (
    "One mark per try: the champion's loss minus the try's gain, with a 95 % interval. Line: the "
    "champion's loss. Orange: tries that looked better only at first. Diamonds: beyond the axis."
)
# Vega writes a point's description into `aria-label`; `render` turns it into a tooltip.
POINT = re.compile(r'<path aria-label="([^"]*)"([^>]* aria-roledescription="point"[^>]*)/>')


@dataclass(frozen=True)
class Report:
    """The content of report.html, the HTML report of a study."""

    headline: str  # the result in a few words
    title: str  # kind and name of the run
    facts: Mapping[str, str]
    chart: Any  # an Altair chart; not annotated as one, because Altair is optional
    caption: str  # text below the chart
    table: Sequence[Sequence[str]]  # the first row has the headings


def write_report(directory: Path) -> Path:
    """Write a study's report.html; raise ConfigError if the extra `plots` is not installed."""
    if isinstance(read_settings(directory), ResearchSettings):
        check_plots()
        report = research_report(Research(directory, ResearchSettings))
    else:
        ranking = read_ranking(directory)
        check_plots()
        report = study_report(ranking)
    publish(directory, {"report.html": render(report).encode()})
    return directory / "report.html"


def study_report(study: Ranking) -> Report:
    """Return the report of a search or a sweep, which can still be running."""
    settings, title = study.settings, f"{study.settings.kind.capitalize()}: {study.name}"
    from microgpt_evolution.report import study_charts as charts  # lazy, because Altair is optional

    facts = dict(_outcome(study)) | dict(_costs(study))
    took = duration(sum(record.seconds for record in study.records))
    state = "" if settings.n_trials == len(study.records) else " so far"
    n_trials = len({(each.id or each.genome, each.seed) for each in study.records})
    headline = f"{_result(study)}, {n_trials:,} trials, {took} of training{state}"
    if isinstance(settings, SweepSettings):
        chart, caption = charts.draw_means(study), SWEPT
    else:
        better = "higher" if study.measure.is_score else "lower"
        chart, caption = charts.draw_trials(study), SEARCHED.format(better)
    return Report(headline, title, facts, chart, caption, best_of(study, N_ROWS))


def research_report(research: Research) -> Report:
    """Return the report of a research study."""
    from microgpt_evolution.report.study_charts import draw_tries

    if not any(each.gain for each in research.tries[:1]):
        raise StudyError(research.why_no_winner())
    first, *tries = research.tries
    n_kept = sum(each.verdict == KEPT for each in tries)
    took = duration(sum(each.seconds for each in research.records))
    losses = [each.fitness for each in first.records if each.origin == SEARCH]
    gains = first.gains(FINAL)
    facts = {
        "loss at the start": str(Mean.over(losses)),
        "gain on the test part": str(Mean.over(gains)) if gains else "not read",
    }
    headline = f"{n_kept} of {len(tries)} tries kept in {took}"
    title = f"Research: {research.directory.name}"
    rows = [[name.capitalize() for name in first.facts], *([*t.facts.values()] for t in tries)]
    return Report(headline, title, facts, draw_tries(research), TRIED, rows)


def _result(study: Ranking) -> str:
    """Describe how much a search improved, or how far a sweep's best settings lead."""
    label, winner, others = study.measure.label, study.winner, study.candidates[1:]
    if not isinstance(study.settings, SweepSettings):
        first = min(study.candidates, key=lambda each: each.record.place)
        return f"{label.capitalize()} {first.mean} → {winner.mean}"  # each is one run, so without ±
    loss = f"Lowest {label} {winner.mean.value:.4f}"
    if not others or len(others[0].values) < len(winner.values):
        return loss  # no other configuration has results for all seeds
    lead = others[0].above(winner)
    is_clear = "is clear" if lead.is_clear else "may be chance"
    return f"{loss}; its lead of {lead} over the second {is_clear}"


def _outcome(study: Ranking) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each fact about the winner."""
    measure, settings, record = study.measure, study.settings, study.winner.record
    yield "winner", f"{measure.label} {study.winner.mean}, {record.id}".removesuffix(", ")
    yield "settings", study.describe(record.genome)
    if study.differing and study.shared:
        yield "settings of all trials", describe(values_of(record.genome, study.shared))
    measured: dict[str, Callable[[TrialRecord], float | None]] = {
        measure.label: measure.value_of,
        f"held-out loss{settings.mark()}": lambda each: each.val_loss,
        f"test loss{settings.mark('test')}": lambda each: each.test_loss,
    }
    for name, value_of in measured.items():
        if values := [value for each in study.fresh if (value := value_of(each)) is not None]:
            yield f"winner, {name}", f"{Mean.over(values)}, {len(values)} fresh seeds"
    kept = "winner"
    for each in study.records:
        if each.origin == STUDENT and (loss := measure.value_of(each)) is not None:
            yield "student", f"{measure.label} {loss:.4f}, taught by {', '.join(each.parents[1:])}"
            kept = "student" if loss < study.winner.mean.value else kept
    if (loss := getattr(settings, "test_loss", None)) is not None:
        yield f"{kept}, test loss{settings.mark('test')}", f"{loss:.4f} nats per character"
    if samples := (study.fresh or [record])[0].samples:
        yield "names", first_names(samples, N_NAMES)


def _costs(study: Ranking) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each fact about the study's costs and settings."""
    spent, budget = sum(each.flops for each in study.records), getattr(study.settings, "budget", 0)
    yield "operations", f"{in_short(spent)} of {in_short(budget)}" if budget else in_short(spent)
    if n_failed := sum(not record.is_ok for record in study.records):
        yield "failed trials", f"{n_failed:,}"
    for name, value in study.settings:
        if name in SHOWN and value is not None:
            yield name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def render(report: Report) -> str:
    """Return a report as an HTML page."""
    facts = (f"<div><dt>{_text(k)}</dt><dd>{_text(v)}</dd></div>" for k, v in report.facts.items())
    svg = picture(report.chart.to_dict(), "svg").decode()
    tags = ["th", *("td" for _ in report.table)]
    rows = (
        f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in row)}</tr>"
        for tag, row in zip(tags, report.table, strict=False)
    )
    return Template(_asset("page.html")).substitute(
        headline=_text(report.headline),
        title=_text(report.title),
        style=_css_variables() + _asset("page.css"),
        facts="\n".join(facts),
        picture=POINT.sub(r"<path\2><title>\1</title></path>", svg),
        caption=_text(report.caption),
        table="\n".join(rows),
        version=html.escape(version("microgpt-cli")),
    )


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    """Escape a text for HTML, including its non-printable characters."""
    return html.escape(printable(text, len(text)))


def _css_variables() -> str:
    """Return the font and the light and dark colors as CSS variables, such as var(--ink)."""
    light, dark = (
        f":root {{ {' '.join(f'--{name}: {value};' for name, value in scheme.items())} }}"
        for scheme in SCHEMES.values()
    )
    dark = f"@media (prefers-color-scheme: dark) {{ {dark} }}"
    return f":root {{ --font: {FONT}; }}\n{light}\n{dark}\n"
