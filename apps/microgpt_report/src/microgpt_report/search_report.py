"""Report of one search."""

from collections.abc import Iterator, Sequence

from microgpt_report.charts import (
    archives,
    exchanges,
    generations,
    genes,
    importance,
    lineage,
    pareto,
    retest,
    species,
)
from microgpt_report.evaluation_rows import evaluation_rows
from microgpt_report.page import Report, Section, Table
from microgpt_report.run_facts import facts, headline
from microgpt_report.run_summary import RunSummary, title_of

N_NAMES = 12  # number of samples shown per champion
KINDS = {"loss": "Loss search", "aesthetic": "Aesthetic search", "hydra": "Hydra search"}


def search_report(summary: RunSummary) -> Report:
    """Return the report of one search."""
    sections = [section for section in _sections(summary) if section]
    title = f"{KINDS.get(summary.objective, summary.objective)}: {summary.name}"
    return Report(headline(summary), title, facts(summary), sections)


def _sections(summary: RunSummary) -> Iterator[Section | None]:
    evaluations = evaluation_rows(summary)
    done = [row for row in evaluations if row["overall"] is not None]
    yield generations.section(summary, evaluations)
    yield from retest.sections(summary, evaluations)
    yield _names(summary)
    yield pareto.section(summary)
    yield genes.section(summary, done)
    yield importance.section(summary, done)
    yield species.section(summary)
    if summary.settings:
        yield lineage.section(summary)
    if summary.objective == "hydra":
        yield exchanges.section(summary)
        yield archives.section(summary)


def _names(summary: RunSummary) -> Section | None:
    rows = [
        [title_of(name) or organism.id, f"{organism.worth:.4f}", _listed(evaluation.samples)]
        for name, organism in summary.champions.items()
        if (evaluation := organism.evaluation) and evaluation.samples
    ]
    if summary.retest and (winner := summary.winner):
        names = _listed(summary.retest.names)
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


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name or "''" for name in names[:N_NAMES])
