"""Tables as plain text, for terminals, files and pipes alike."""

from collections.abc import Collection, Iterator, Sequence

GAP = "  "


def columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of a table.

    Args:
        headings: of its columns.
        rows: a cell for each column.
        left: the headings of those columns that begin below one another; the others end so.
    """
    table = [headings, *rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for cells in table:
        padded = (
            cell.ljust(width) if heading in left else cell.rjust(width)
            for cell, width, heading in zip(cells, widths, headings, strict=True)
        )
        yield GAP.join(padded).rstrip()
