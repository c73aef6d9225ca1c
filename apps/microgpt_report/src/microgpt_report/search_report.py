"""Report of one search: its headline, facts and sections."""

from collections.abc import Sequence
from statistics import fmean

from microgpt import duration
from microgpt_evolution.genome import GENES, values_of
from microgpt_evolution.objectives.scores import first_names
from microgpt_evolution.search.retest import Retest
from microgpt_evolution.sweep.scaling import Mean
from microgpt_report.charts import evaluations
from microgpt_report.page import Report, Section, Table, change, cost, describe_data
from microgpt_report.run_summary import LOSSES, PRIMORDIAL, Measure, RunSummary, title_of
from microgpt_report.setting_names import describe_settings

N_NAMES = 12  # number of samples shown per champion
KINDS = {"loss": "Loss search", "aesthetic": "Aesthetic search", "hydra": "Hydra search"}


def search_report(summary: RunSummary) -> Report:
    """Return the report of one search."""
    rows = evaluations.evaluation_rows(summary)
    sections = [
        evaluations.by_generation(summary, rows),
        _winner(summary),
        _names(summary),
        evaluations.by_size(summary),
    ]
    title = f"{KINDS[summary.settings.objective]}: {summary.name}"
    return Report(_headline(summary), title, _facts(summary), list(filter(None, sections)))


def _headline(summary: RunSummary) -> str:
    """Return the result of a search, such as "Held-out loss 2.52 → 2.31, evolved in 6 s …"."""
    winner = summary.winner
    if winner is None:
        return "No organism has finished"
    name = summary.organisms[winner.id][0]
    measure, (start, _) = summary.measures[name], _start(summary, name)
    again = _retested(summary.retest, measure)
    found = f"{measure.name} {change(start, fmean(again) if again else winner.worth)}"
    seconds = sum(entry.seconds for entry in summary.run.lines)
    how = f", evolved in {duration(seconds)} of training"
    return found[0].upper() + found[1:] + how + ("" if summary.retest else " so far")


def _facts(summary: RunSummary) -> dict[str, str]:
    found = {"result": "no organism has finished"}
    if winner := summary.winner:
        name = summary.organisms[winner.id][0]
        start, what = _start(summary, name)
        found = {"start": f"{start:.4f}, {what}"}
        state = "" if summary.retest else " so far (the search has not ended)"
        measured = f"{summary.measures[name].name} {winner.worth:.4f} in the search"
        if again := _retested(summary.retest, summary.measures[name]):
            measured += f", {fmean(again):.4f} retested"
        found["winner"] = f"{winner.id}, {measured}{state}"
        found["genome"] = describe_settings(values_of(winner.genome, GENES))
    entries = summary.run.lines
    n_failed = sum(entry.evaluation.status != "ok" for entry in entries)
    found["evaluations"] = f"{len(entries):,}{f' ({n_failed:,} failed)' if n_failed else ''}"
    found["cost"] = cost(sum(e.flops for e in entries), sum(e.seconds for e in entries))
    settings = summary.settings
    found["seed"] = str(settings.seed)
    found["data"] = describe_data(settings.input, settings.data_sha256)
    each = " per head" if settings.objective == "hydra" else ""
    found["population"] = f"{settings.population}{each}, {settings.n_generations} generations"
    for name in ("fitness", "samples", "head"):
        if (value := getattr(settings, name)) is not None:
            found[name] = str(value)
    if settings.warm_start:
        found["warm start"] = describe_settings(values_of(settings.warm_start, GENES))
    return found


def _start(summary: RunSummary, population: str) -> tuple[float, str]:
    """Return the value that a population started with, and which genomes have it, as text."""
    measure = summary.measures[population]
    for entry in summary.run.lines:
        if entry.origin == PRIMORDIAL and (worth := measure.of(entry.evaluation)) is not None:
            return worth, "primordial genome"
    everyone = (generation.get(population, ()) for generation in summary.generations)
    finished = ([o.worth for o in ranked if o.has_finished] for ranked in everyone)
    return fmean(next(filter(None, finished))), "mean of the first generation"


def _retested(retest: Retest | None, measure: Measure) -> Sequence[float]:
    """Return the values of a measure in the retest, if there was one."""
    if retest is None or measure.name == LOSSES["own"]:  # a retest measures losses
        return ()
    if measure.score is not None:
        return [found.scores[measure.score] for found in retest.scores]
    return retest.last_losses if measure.name == LOSSES["last-doc"] else retest.val_losses


def _winner(summary: RunSummary) -> Section | None:
    """Return the section with the measurements of the winner; None if there was no retest."""
    retest, winner = summary.retest, summary.winner
    if not (retest and winner and (found := winner.evaluation)):
        return None
    measured: list[tuple[str, float | None, Sequence[float]]] = [
        ("loss of the last document", found.last_loss, retest.last_losses),
        ("held-out loss", found.val_loss, retest.val_losses),
        ("test loss", None, retest.test_losses),
    ]
    measured += [
        (f"{title_of(name) or name} score", score, [each.scores[name] for each in retest.scores])
        for name, score in (found.scores.scores.items() if found.scores else ())
    ]
    rows = []
    for name, value, again in measured:
        mean = Mean.of(again)
        cells = [_cell(value), _cell(mean.value), _cell(mean.half_width, "± ")]
        rows.append([name, *cells, str(len(again))])
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


def _names(summary: RunSummary) -> Section | None:
    rows = [
        [title_of(name) or found.id, f"{found.worth:.4f}", first_names(samples, N_NAMES)]
        for name, found in summary.champions.items()
        if found.evaluation and (samples := found.evaluation.samples)
    ]
    if summary.retest and (winner := summary.winner):
        names = first_names(summary.retest.names, N_NAMES)
        rows.append([f"winner ({winner.id})", f"{winner.worth:.4f}", names])
    if not rows:
        return None
    return Section(
        "names",
        "Generated names",
        "The first names that each champion generated. For the winner: names from "
        "the first retest run.",
        table=Table(["champion", "fitness", "names"], rows, is_prose=True),
    )
