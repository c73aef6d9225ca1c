"""Render a report as a self-contained HTML page, which follows the system's color scheme."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from microgpt import printable
from microgpt_cli.charts.look import FONT, SCHEMES, picture

if TYPE_CHECKING:
    from altair.typing import ChartType

# Vega draws a point with its description, which becomes its tooltip.
POINT = re.compile(r'<path aria-label="([^"]*)"([^>]* aria-roledescription="point"[^>]*)/>')


@dataclass(frozen=True)
class Report:
    """The content of a page."""

    headline: str  # the result in a few words
    title: str  # kind and name of the run
    facts: Mapping[str, str]
    chart: "ChartType"
    caption: str  # text below the chart
    table: Sequence[Sequence[str]]  # the first row has the headings


def render(report: Report) -> str:
    """Render the page as HTML."""
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
    """Escape text for HTML, with its non-printable characters."""
    return html.escape(printable(text, len(text)))


def _css_variables() -> str:
    """Return the font and the colors of both schemes as CSS variables, such as var(--ink)."""
    light, dark = (
        f":root {{ {' '.join(f'--{name}: {value};' for name, value in scheme.items())} }}"
        for scheme in SCHEMES.values()
    )
    dark = f"@media (prefers-color-scheme: dark) {{ {dark} }}"
    return f":root {{ --font: {FONT}; }}\n{light}\n{dark}\n"
