"""Tables of candidates as text, or as rows of a page."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from microgpt import in_short
from microgpt_evolution.objectives.judge import first_names
from microgpt_evolution.report.ranking import Candidate, Ranking
from microgpt_evolution.strategies.grid import show

Rows = Sequence[Sequence[str]]  # a table; its first row has the headings
Cells = Mapping[str, Callable[[Candidate], object]]  # functions for the cells, by heading


def describe_ranking(ranking: Ranking, n_rows: int | None = None) -> Iterator[str]:
    """Yield the ranking of a sweep line by line; see `best_of`."""
    measure, n_seeds, n = ranking.measure, len(ranking.seeds), len(ranking.candidates)
    repeats = f"mean over {n_seeds} seeds ± 95 % interval" if n_seeds > 1 else "1 seed"
    if n_seeds > 1 < n:
        repeats += "; Behind 1: paired by seed"
    yield f"Ranking by {measure.axis} ({repeats})"
    yield from text_of(best_of(ranking, n_rows))
    if n_rows and n > n_rows:
        yield f"… and {n - n_rows} more"


def best_of(ranking: Ranking, n_rows: int | None) -> Rows:
    """Return the table of the best settings of a sweep, or of the best organisms of a search."""
    ranked = ranking.candidates
    first, n_seeds = ranked[0], len(ranked[0].values)

    def remark(each: Candidate) -> str:
        return f"{len(each.values)} of {n_seeds} seeds" if len(each.values) < n_seeds else ""

    cells: Cells = {
        "": lambda each: each.record.id or ranked.index(each) + 1,
        **{name: partial(_setting, name) for name in ranking.differing},
        ranking.measure.label.capitalize(): lambda each: each.mean,
        "Behind 1": lambda each: "" if each is first or n_seeds == 1 else each.above(first),
        "Params": n_params,
        "Operations": lambda each: "" if each.record.until else in_short(each.record.flops, 3),
        "Names": lambda each: first_names(each.record.samples) if each.record.scores else "",
        " ": remark,
    }
    return rows_of(ranked[:n_rows], cells)


def _setting(name: str, candidate: Candidate) -> str:
    return show(getattr(candidate.record.genome, name))


def n_params(candidate: Candidate) -> str:
    """Return the cell of the number of parameters."""
    return f"{candidate.record.n_params:,}"


def rows_of(candidates: Iterable[Candidate], cells: Cells) -> Rows:
    """Return the headings and a row per candidate, without columns that are empty."""
    rows = [[str(cell(each)) for cell in cells.values()] for each in candidates]
    used = [column for column in zip(cells, *rows, strict=True) if any(column[1:])]
    return [*zip(*used, strict=True)]


def text_of(rows: Rows, left: Collection[str] = ()) -> Iterator[str]:
    """Yield the lines of a table; columns in `left` are left-aligned, all others right-aligned."""
    columns = [*zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    for row in rows:
        cells = zip(rows[0], row, widths, strict=True)
        padded = (f"{cell:{'<' if head in left else '>'}{width}}" for head, cell, width in cells)
        yield "  ".join(padded).rstrip()
