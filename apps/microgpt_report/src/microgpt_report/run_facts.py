"""Headline and facts of a search, and the formats of numbers that all reports share."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean

from microgpt.amounts import duration
from microgpt_evolution.search.retest_file import RetestFile
from microgpt_report.run_summary import LOSSES, PRIMORDIAL, Measure, RunSummary
from microgpt_report.setting_names import describe_settings

N_HEX = 12  # number of SHA-256 digits shown


def headline(summary: RunSummary) -> str:
    """Return the result of a search, such as "Held-out loss 2.52 → 2.31, evolved in 6 s …"."""
    winner = summary.winner
    if winner is None:
        return "No organism has finished"
    name = summary.organisms[winner.id][0]
    measure, end = summary.measures[name], winner.worth
    if again := _retested(summary.retest, measure):
        end = fmean(again)
    start, _ = _start(summary, name)
    found = f"{measure.name} {change(start, end)}"
    seconds = sum(entry.seconds or 0 for entry in summary.run.lines)
    how = f", evolved in {duration(seconds)} of training" if seconds else ", evolved"
    return found[0].upper() + found[1:] + how + ("" if _is_complete(summary) else " so far")


def facts(summary: RunSummary) -> dict[str, str]:
    """Return result, settings and cost, which are shown at the top of the report."""
    found = {"result": "no organism has finished"}
    if winner := summary.winner:
        name = summary.organisms[winner.id][0]
        start, what = _start(summary, name)
        found = {"start": f"{start:.4f}, {what}"}
        state = "" if _is_complete(summary) else " so far (the search has not ended)"
        measured = f"{summary.measures[name].name} {winner.worth:.4f} in the search"
        if again := _retested(summary.retest, summary.measures[name]):
            measured += f", {fmean(again):.4f} retested"
        found["winner"] = f"{winner.id}, {measured}{state}"
        found["genome"] = describe_settings(asdict(winner.genome))
    entries = summary.run.lines
    n_failed = sum(entry.evaluation.status != "ok" for entry in entries)
    found["evaluations"] = f"{len(entries):,}{f' ({n_failed:,} failed)' if n_failed else ''}"
    if flops := sum(entry.flops or 0 for entry in entries):  # imported logs record no FLOPs
        found["cost"] = cost(flops, sum(entry.seconds or 0 for entry in entries))
    if (seed := summary.run.settings.seed) is not None:
        found["seed"] = str(seed)
    settings = summary.settings
    if settings is None:
        return found | {"data": "unknown (imported log)"}
    found["data"] = describe_data(settings.input, settings.data_sha256)
    each = " per head" if settings.objective == "hydra" else ""
    found["population"] = f"{settings.population}{each}, {settings.n_generations} generations"
    for name in ("fitness", "samples", "exchange", "head"):
        if (value := getattr(settings, name)) is not None:
            found[name] = str(value)
    if settings.warm_start:
        found["warm start"] = describe_settings(asdict(settings.warm_start))
    return found


def change(start: float, end: float) -> str:
    """Format two numbers with as many decimals as distinguish them, such as "2.52 → 2.31"."""
    shown = [f"{start:.{n}f} → {end:.{n}f}" for n in (2, 3, 4)]
    return next((text for text in shown if len({*text.split(" → ")}) > 1), shown[-1])


def cost(operations: float, seconds: float) -> str:
    """Format a cost, such as "52.3 GFLOP, 2.7 s of training"."""
    giga = operations / 1e9
    return f"{giga:{',.0f' if giga >= 999.5 else '.3g'}} GFLOP, {duration(seconds)} of training"


def describe_data(path: str, sha256: str) -> str:
    """Return the path and the SHA-256 fingerprint of a run's documents as text."""
    return f"{path}, sha256 {sha256[:N_HEX]}…"


def _is_complete(summary: RunSummary) -> bool:
    return summary.retest is not None or summary.settings is None


def _start(summary: RunSummary, population: str) -> tuple[float, str]:
    """Return the value from which a population started, and what was measured."""
    measure = summary.measures[population]
    for entry in summary.run.lines:
        if entry.origin == PRIMORDIAL and (worth := measure.of(entry.evaluation)) is not None:
            return worth, "primordial genome"
    everyone = (generation.populations.get(population, ()) for generation in summary.generations)
    finished = ([o.worth for o in ranked if o.has_finished] for ranked in everyone)
    return fmean(next(filter(None, finished))), "mean of the first generation"


def _retested(retest: RetestFile | None, measure: Measure) -> Sequence[float]:
    """Return the values of a measure in the retest, if there was one."""
    if retest is None:
        return ()
    if measure.score is not None:
        return retest.scores[measure.score].again if measure.score in retest.scores else ()
    of_last = measure.name == LOSSES["last-doc"]
    return (retest.last_loss if of_last else retest.val_loss).again
