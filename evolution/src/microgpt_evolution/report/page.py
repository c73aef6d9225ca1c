"""Render a report as a self-contained HTML page.

The page contains the data and one copy of Vega's script. Bundling the script takes vl-convert one
second, so a copy is kept in the user's cache directory. The page follows the system's color scheme.
"""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from microgpt import MicrogptError, printable, publish, read_regular_file
from microgpt_cli.charts.look import FONT, SCHEMES, vega_config

if TYPE_CHECKING:
    from altair.typing import ChartType

MAX_SCRIPT_BYTES = 2**24  # size limit for Vega's script, more than ten times the actual size
N_SVG = 3_000  # maximum number of points drawn as SVG; with more, canvas is faster
# Vega compiles expressions to functions, which requires 'unsafe-eval'.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:"
)


@dataclass(frozen=True)
class Section:
    """A section of a page: heading, caption, and a chart or a table."""

    name: str  # HTML id of the section
    title: str
    caption: str
    chart: "ChartType | None" = None
    head: Sequence[str] = ()  # of the table
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Report:
    """The content of a page."""

    headline: str  # the result in a few words
    title: str  # kind and name of the run
    facts: Mapping[str, str]
    sections: Sequence[Section]


def render(report: Report) -> str:
    """Render the page as HTML."""
    charts = {s.name: s.chart.to_dict(validate=False) for s in report.sections if s.chart}
    for chart in charts.values():
        chart.pop("config", None)  # the page has a configuration for each color scheme
    datasets = [rows for chart in charts.values() for rows in chart["datasets"].values()]
    data = {
        "specifications": charts,
        "configs": {scheme: vega_config(scheme) for scheme in SCHEMES},
        "renderer": "svg" if max(map(len, datasets), default=0) <= N_SVG else "canvas",
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
        style=_css_variables() + _asset("page.css"),
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
    if section.rows:
        yield '<div class="scroll"><table>'
        yield f"<tr>{''.join(f'<th>{escaped(cell)}</th>' for cell in section.head)}</tr>"
        for row in section.rows:
            yield f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>"
        yield "</table></div>"
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
    directory = user_cache_path("microgpt", appauthor=False)
    with suppress(OSError, UnicodeDecodeError):  # the cache is optional
        return read_regular_file(directory / name, MAX_SCRIPT_BYTES).decode()
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with suppress(MicrogptError, OSError):
        directory.mkdir(0o700, parents=True, exist_ok=True)
        publish(directory, {name: script.encode()})
    return script


def _css_variables() -> str:
    """Return the font and the colors of both schemes as CSS variables, such as var(--ink)."""
    light, dark = (
        f":root {{ {' '.join(f'--{name}: {value};' for name, value in scheme.items())} }}"
        for scheme in SCHEMES.values()
    )
    dark = f"@media (prefers-color-scheme: dark) {{ {dark} }}"
    return f":root {{ --font: {FONT}; }}\n{light}\n{dark}\n"
