"""Dataset of evaluations that most charts of a search report use."""

from dataclasses import asdict

from microgpt_evolution.population import Organism
from microgpt_evolution.search.records import EvaluationRecord
from microgpt_report.page import Row
from microgpt_report.run_summary import CONFIRM, PRIMORDIAL, RunSummary, title_of

RULE = "rule"  # the genome of `train --minutes`, with which a search with a budget begins
# Groups of organism origins. The charts use one color per group.
KINDS = {
    "newcomer": ("random", "immigrant", "cataclysm", "genome", "given"),
    "mutant": ("mutant", "hyper", "grown", "tuned"),
    "cross": ("cross", "champion"),
    "elite": ("elite", "re-eval"),
    "migrant": ("migrant",),
    "retest": (CONFIRM,),
    PRIMORDIAL: (PRIMORDIAL,),
    RULE: (RULE,),
}
_KIND_OF = {origin: kind for kind, origins in KINDS.items() for origin in origins}
STANDINGS = {"best 10 %": 0.1, "best 10–50 %": 0.5, "others": 1.0}
SPREAD = 0.7  # width of a generation, as a fraction of the distance between generations
N_NAMES = 5  # number of names shown in a tooltip


def kind_of(origin: str) -> str:
    """Return the group of an origin. Unknown origins from older logs are returned unchanged."""
    return _KIND_OF.get(origin, origin)


def evaluation_rows(summary: RunSummary) -> list[Row]:
    """Return one row per evaluation, worst first, so that the best organisms are drawn on top."""
    rows = [_row(summary, entry) for entry in summary.run.lines]
    is_loss = all(measure.is_loss for measure in summary.measures.values())

    def worth(row: Row) -> float:
        value = row["worth"]
        return float("inf") if value is None else value if is_loss else -value

    rows.sort(key=worth, reverse=True)
    done = [row for row in rows if row["overall"] is not None]
    done.sort(key=lambda row: float(row["overall"]), reverse=not summary.common.is_loss)
    for place, row in enumerate(done):
        share = (place + 0.5) / len(done)
        row["lead"] = 0.5 - share
        row["standing"] = next(name for name, most in STANDINGS.items() if share <= most)
    return rows


def _row(summary: RunSummary, entry: EvaluationRecord) -> Row:
    ids = [id_ for id_ in (entry.id, *entry.parents) if id_ in summary.organisms]
    organism = summary.organisms[ids[0]][1] if ids else None  # the evaluated or retested organism
    population = summary.population_of(entry)
    generation = organism.generation if organism else 0
    evaluation = entry.evaluation
    return {
        "id": entry.id,
        "population": title_of(population),
        "generation": generation,
        "x": generation + (_offset(summary, population, organism) if organism else 0),
        "kind": kind_of(entry.origin),
        "origin": entry.origin,
        "status": evaluation.status,
        "worth": summary.worth(entry),
        "overall": summary.common.of(evaluation),
        "last_loss": evaluation.last_loss,
        "val_loss": evaluation.val_loss,
        **asdict(entry.genome),
        "params": summary.n_params(entry.genome),
        "flops": entry.flops,
        "names": ", ".join(name or "''" for name in evaluation.samples[:N_NAMES]),
        "on_front": entry.id in summary.pareto_front,
        "is_winner": summary.winner is not None and entry.id == summary.winner.id,
    }


def _offset(summary: RunSummary, population: str, organism: Organism) -> float:
    """Return the horizontal offset of an organism within its generation, based on its slot."""
    generation = next(g for g in summary.generations if g.number == organism.generation)
    slots = [o.slot for o in generation.populations[population]]
    return SPREAD * ((organism.slot - min(slots) + 0.5) / (max(slots) - min(slots) + 1) - 0.5)
