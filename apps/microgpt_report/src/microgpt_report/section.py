"""A section of the page: a heading, a sentence on what to see, and a picture, a table or text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microgpt_report.theme import Chart


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        head: of each column.
        rows: the cells, as text.
        is_prose: whether the last column is text to read, and not a number.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_prose: bool = False


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        name: of its picture, and of a file of it.
        title: its heading.
        caption: what to see.
        chart: the picture, if it is one.
        table: the table, if it is one.
        text: lines as a terminal would show them, if it is those.
    """

    name: str
    title: str
    caption: str
    chart: "Chart | None" = None
    table: Table | None = None
    text: str = ""


@dataclass(frozen=True)
class Report:
    """What is on a page.

    Attributes:
        title: its heading.
        facts: what it is about, by name.
        sections: in their order.
        datasets: what the pictures show, by the names that they know it by.
    """

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    datasets: Mapping[str, Sequence[Mapping[str, Any]]]
