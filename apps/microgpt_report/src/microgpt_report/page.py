"""Render a report as a self-contained HTML page.

The page contains the data and one copy of Vega's script. Bundling the script takes vl-convert one
second, so a copy is kept in the user's cache directory. The page follows the system's color scheme.
"""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from microgpt import MicrogptError, duration, printable, publish, read_regular_file
from microgpt_report.look import SCHEMES, css_variables, vega_config

if TYPE_CHECKING:
    from altair.typing import ChartType

Row = dict[str, Any]  # a row of a chart's dataset

MAX_SCRIPT_BYTES = 2**24  # size limit for Vega's script, more than ten times the actual size
N_HEX = 12  # number of SHA-256 digits shown
N_SVG = 3_000  # maximum number of evaluations drawn as SVG; with more, canvas is faster
# Vega compiles expressions to functions, which requires 'unsafe-eval'.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:"
)


@dataclass(frozen=True)
class Table:
    """A table with one heading row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A section of a page: heading, caption, and a chart, table or text."""

    name: str  # HTML id of the section
    title: str
    caption: str
    chart: "ChartType | None" = None
    table: Table | None = None
    text: str = ""  # preformatted text
    datasets: Mapping[str, Sequence[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The content of a page. Charts refer to the datasets of all sections by name."""

    headline: str  # the result in a few words
    title: str  # kind and name of the run
    facts: Mapping[str, str]
    sections: Sequence[Section]


def change(start: float, end: float) -> str:
    """Format two numbers, such as "2.52 → 2.31"; if they are equal to 4 decimals, only one."""
    shown = ([f"{number:.{n}f}" for number in (start, end)] for n in (2, 3, 4))
    return next((" → ".join(pair) for pair in shown if pair[0] != pair[1]), f"{end:.4f}")


def cost(operations: float, seconds: float) -> str:
    """Format a cost, such as "52.3 GFLOP, 2.7 s of training"."""
    giga = operations / 1e9
    return f"{giga:{',.0f' if giga >= 999.5 else '.3g'}} GFLOP, {duration(seconds)} of training"


def describe_data(path: str, sha256: str) -> str:
    """Return the path and the SHA-256 fingerprint of a run's documents as text."""
    return f"{path}, sha256 {sha256[:N_HEX]}…"


def render(report: Report) -> str:
    """Render the page as HTML."""
    datasets = {name: rows for s in report.sections for name, rows in s.datasets.items()}
    charts = {s.name: s.chart.to_dict(validate=False) for s in report.sections if s.chart}
    for chart in charts.values():
        chart.pop("config", None)  # the page has a configuration for each color scheme
    data = {
        "specifications": charts,
        "datasets": datasets,
        "configs": {scheme: vega_config(scheme) for scheme in SCHEMES},
        "renderer": "svg" if len(datasets.get("evaluations", ())) <= N_SVG else "canvas",
    }
    facts = (
        f"<div><dt>{escaped(k)}</dt><dd>{escaped(v)}</dd></div>" for k, v in report.facts.items()
    )
    content = [
        f"<h1>{escaped(report.headline)}</h1>",
        f"<p>{escaped(report.title)}</p>",
        *("<dl>", *facts, "</dl>"),
        "<noscript><p>The charts need JavaScript, which is disabled.</p></noscript>",
        *(line for section in report.sections for line in _section(section)),
    ]
    return Template(_asset("page.html")).substitute(
        policy=POLICY,
        title=escaped(report.title),
        style=css_variables() + _asset("page.css"),
        content="\n".join(content),
        version=html.escape(version("microgpt-cli")),
        data=_embedded(data),
        vega=vega(),
        script=_asset("page.js"),
    )


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _section(section: Section) -> Iterator[str]:
    yield f'<section id="{section.name}">'
    yield f"<h2>{escaped(section.title)}</h2>"
    yield f"<p>{escaped(section.caption)}</p>"
    if section.chart:
        label = escaped(f"{section.title}: {section.caption}")
        yield f'<div class="picture" role="img" aria-label="{label}"></div>'
    if table := section.table:
        yield '<div class="scroll"><table>'
        yield f"<tr>{''.join(f'<th>{escaped(cell)}</th>' for cell in table.head)}</tr>"
        for row in table.rows:
            yield f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>"
        yield "</table></div>"
    if section.text:
        yield f"<pre>{escaped(section.text)}</pre>"
    yield "</section>"


def escaped(text: str) -> str:
    """Escape text for HTML, and escape non-printable characters other than line feeds."""
    lines = text.split("\n")
    return "\n".join(html.escape(printable(line, len(line))) for line in lines)


def _embedded(data: object) -> str:
    """Encode data as JSON that is safe inside a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def vega() -> str:
    """Return Vega's script, from the cache if possible."""
    name = f"vega-{version('vl-convert-python')}.js"
    directory: Path | None = None
    with suppress(OSError, RuntimeError, UnicodeDecodeError):  # the cache is optional
        found = user_cache_path("microgpt", appauthor=False)
        directory = found if found.is_absolute() else None  # platformdirs 4.2 may return "~/.cache"
        if directory:
            return read_regular_file(directory / name, MAX_SCRIPT_BYTES).decode()
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if directory:
        with suppress(MicrogptError, OSError):
            directory.mkdir(0o700, parents=True, exist_ok=True)
            (directory / name).unlink(missing_ok=True)  # a damaged one may be a pipe
            publish(directory, {name: script.encode()})
    return script
