"""Dataset of evaluations that most charts of a search report use."""

from dataclasses import asdict

from microgpt_evolution.population import Organism
from microgpt_evolution.search.records import EvaluationRecord
from microgpt_report.page import Row
from microgpt_report.run_summary import RunSummary, first_names, title_of
from microgpt_report.theme import kind_of

STANDINGS = {"best 10 %": 0.1, "best 10–50 %": 0.5, "others": 1.0}
SPREAD = 0.7  # width of a generation, as a fraction of the distance between generations


def evaluation_rows(summary: RunSummary) -> list[Row]:
    """Return one row per evaluation, worst first, so that the best organisms are drawn on top."""
    entries = sorted(summary.run.lines, key=summary.cost, reverse=True)
    rows = [_row(summary, entry) for entry in entries]
    done = [row for row in rows if row["overall"] is not None]
    done.sort(key=lambda row: float(row["overall"]), reverse=not summary.common.is_loss)
    for place, row in enumerate(done):
        share = (place + 0.5) / len(done)
        row["lead"] = 0.5 - share
        row["standing"] = next(name for name, most in STANDINGS.items() if share <= most)
    return rows


def _row(summary: RunSummary, entry: EvaluationRecord) -> Row:
    population, organism = summary.place_of(entry)
    evaluation = entry.evaluation
    return {
        "id": entry.id,
        "population": title_of(population),
        "generation": organism.generation if organism else 0,
        "x": _x(summary, population, organism) if organism else 0,
        "kind": kind_of(entry.origin),
        "origin": entry.origin,
        "status": evaluation.status,
        "worth": summary.worth(entry),
        "overall": summary.common.of(evaluation),
        "last_loss": evaluation.last_loss,
        "val_loss": evaluation.val_loss,
        **asdict(entry.genome),
        "params": summary.n_params(entry.genome),
        "names": first_names(evaluation.samples),
        "on_front": entry.id in summary.pareto_front,
    }


def _x(summary: RunSummary, population: str, organism: Organism) -> float:
    """Return the place of an organism in its generation, by its slot."""
    generation = next(g for g in summary.generations if g.number == organism.generation)
    slots = [o.slot for o in generation.populations[population]]
    share = (organism.slot - min(slots) + 0.5) / (max(slots) - min(slots) + 1)
    return organism.generation + SPREAD * (share - 0.5)
