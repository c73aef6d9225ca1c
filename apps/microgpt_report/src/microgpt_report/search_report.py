"""Report of one search: its headline, facts and sections."""

from collections.abc import Sequence
from statistics import fmean

from microgpt import duration
from microgpt_evolution.budgeted.budgeted_records import BudgetedSettings
from microgpt_evolution.genome import GENES, values_of
from microgpt_evolution.objectives.scores import first_names
from microgpt_evolution.runs.run_directory import RunSettings, TrialRecord
from microgpt_evolution.search.retest import Retest
from microgpt_evolution.sweep.scaling import Mean
from microgpt_report.charts import evaluations
from microgpt_report.page import Report, Section, Table, change, cost, describe_data
from microgpt_report.search_run import SearchRun, place_of
from microgpt_report.setting_names import describe_settings

N_ROWS, N_NAMES = 20, 12  # maximum number of organisms in the table, and of names of each
SHOWN = ("population", "generations", "fitness", "samples", "head")  # settings


def search_report(run: SearchRun) -> Report:
    """Return the report of one search."""
    rows, settings = evaluations.evaluation_rows(run), run.settings
    if isinstance(settings, BudgetedSettings):
        kind, curves = "Search with a budget", [evaluations.during_training(run)]
    else:
        kind, curves = f"{settings.objective.capitalize()} search", []
    headline, facts, retest = "No organism has finished", {"result": "none"}, list[Section]()
    if run.winner:
        headline, facts = _result(run, *run.winner)
        retest = [_retest(run.retest, run.winner[0], run.settings)] if run.retest else []
    sections = [evaluations.by_generation(run, rows), *curves, *retest, _organisms(run)]
    sections.append(evaluations.by_size(run, rows))
    return Report(headline, f"{kind}: {run.name}", facts | _costs_and_settings(run), sections)


def _result(run: SearchRun, winner: TrialRecord, value: float) -> tuple[str, dict[str, str]]:
    """Return a headline, such as "Held-out loss 2.52 → 2.31, evolved in 6 s …", and facts."""
    population = run.population_of(winner)
    measure, (start, what) = run.measures[population], _start(run, population)
    again = measure.again(run.retest) if run.retest else ()
    state = "" if run.has_ended else " so far"
    found = f"{measure.name} {change(start, fmean(again) if again else value)}"
    took = duration(sum(line.seconds for line in run.lines))
    headline = f"{found[0].upper()}{found[1:]}, evolved in {took} of training{state}"
    retested = f", {fmean(again):.4f} retested" if again else ""
    facts = {
        "start": f"{start:.4f}, {what}",
        "winner": f"{winner.id}, {measure.name} {value:.4f} in the search{retested}{state}",
        "genome": run.describe(winner.genome),
    }
    if run.retest and run.retest.names:
        facts["names"] = first_names(run.retest.names, N_NAMES)
    return headline, facts


def _start(run: SearchRun, population: str) -> tuple[float, str]:
    """Return the value with which a population started, and which genomes have it, as text."""
    by_place = sorted(run.ranked(population), key=lambda found: place_of(found[0]))
    for line, value in by_place:
        if line.genome == run.first:
            return value, "the genome to improve"
    first, _ = place_of(by_place[0][0])
    values = [value for line, value in by_place if place_of(line)[0] == first]
    return fmean(values), "mean of the first generation"


def _costs_and_settings(run: SearchRun) -> dict[str, str]:
    lines, settings = run.lines, run.settings
    spent = sum(line.flops for line in lines)
    n_failed = sum(not line.is_ok for line in lines)
    known = {name: getattr(settings, name, None) for name in SHOWN}
    facts = {
        "evaluations": f"{len(lines):,}{f' ({n_failed:,} failed)' if n_failed else ''}",
        "cost": cost(spent, sum(line.seconds for line in lines)),
        "seed": str(settings.seed),
        "data": describe_data(settings.input, settings.data_sha256),
        **{name: str(value) for name, value in known.items() if value is not None},
    }
    if isinstance(settings, BudgetedSettings):
        facts["cost"] += f", {spent / settings.budget:.0%} of the budget"
    if warm_start := getattr(settings, "warm_start", None):
        facts["warm start"] = describe_settings(values_of(warm_start, GENES))
    return facts


def _retest(retest: Retest, winner: TrialRecord, settings: RunSettings) -> Section:
    """Return the section with the measurements of the winner."""
    measured: list[tuple[str, float | None, Sequence[float]]] = [
        ("loss of the last document", winner.last_loss, retest.last_losses),
        (f"held-out loss{settings.mark()}", winner.val_loss, retest.val_losses),
        (f"test loss{settings.mark('test')}", None, retest.test_losses),
    ]
    scores = winner.scores.scores if winner.scores else {}
    measured += [
        (f"{name} score", score, [each.scores[name] for each in retest.scores])
        for name, score in scores.items()
    ]
    rows = []
    for name, value, again in measured:
        mean = Mean.of(again)
        numbers = _cell(value), _cell(mean.value), _cell(mean.half_width, "± ")
        rows.append([name, *numbers, str(len(again))])
    return Section(
        "retest",
        "Winner: search and retest",
        "Values of the winner in the search and after retraining with fresh seeds: mean and 95 % "
        "confidence interval. The test documents were not used in the search. Losses are in nats "
        "per token.",
        table=Table(["", "search", "retest", "95 % interval", "seeds"], rows),
    )


def _cell(number: float | None, sign: str = "") -> str:
    return "–" if number is None else f"{sign}{number:.4f}"


def _organisms(run: SearchRun) -> Section:
    """Return the section with the best organisms of each population."""
    n = N_ROWS // len(run.measures)
    best = [(name, *found) for name in run.measures for found in run.ranked(name)[:n]]
    rows = [
        [
            f"{line.id} {population}",
            f"{value:.4f}",
            run.describe(line.genome),
            first_names(line.samples, N_NAMES),
        ]
        for population, line, value in best
    ]
    head = ["organism", "fitness", "genes", "names"]
    if not any(line.samples for _, line, _ in best):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return Section(
        "organisms",
        "Best organisms",
        "The organisms with the best fitness, and the first names that they generated.",
        table=Table(head, rows),
    )
