"""Colors, fonts and sizes of all charts and reports, light and dark; files of charts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import ConfigError, check_extra, publish

if TYPE_CHECKING:
    from altair.typing import ChartType

# All have a contrast of 3:1 with both backgrounds. The first six are chosen to differ as much as
# possible, each of the others to be far from all before it, also without red or green cones
# (tests/cli/charts/test_look.py).
COLORS = (
    *("#0072b2", "#fe5f07", "#24a970", "#ba2379", "#598bff", "#955503"),
    *("#1a4eff", "#0ba2be", "#e669aa", "#00a500", "#cd05cd", "#b95055", "#00783c", "#ff37e6"),
    *("#785a91", "#c38750", "#a078dc", "#d70a28", "#a56996", "#8732e6", "#3c8c73", "#a546af"),
    *("#2d6e73", "#7d5fd2"),
)
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = COLORS[:6]
GREY = "#8a8a8a"
# Colors of text, secondary text, lines and background.
SCHEMES = {
    "light": {"ink": "#24292f", "quiet": "#57606a", "line": "#e4e6e9", "paper": "#ffffff"},
    "dark": {"ink": "#e6e8eb", "quiet": "#a2a9b3", "line": "#33383f", "paper": "#16191d"},
}
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
PADDING = 12  # pixels around a chart in a file
FILES = (".png", ".svg")  # types of files that a chart can be written to
PNG_SCALE = 2  # PNG pixels per chart pixel; 1 is blurry on most screens

Specification = dict[str, object]  # of a Vega-Lite chart, or of the looks of all charts
Row = dict[str, Any]  # a row of a chart's dataset


def vega_config(scheme: str) -> Specification:
    """Return the Vega-Lite configuration of a page in the light or dark scheme."""
    color = SCHEMES[scheme]
    titles = {"titleColor": color["quiet"], "titleFontWeight": 400, "titleFontSize": 12}
    labels = {"labelColor": color["quiet"], "labelFontSize": 11, "labelLimit": 0}
    axis = {"domainColor": color["quiet"], "tickColor": color["quiet"], "gridColor": color["line"]}
    legend = {"labelColor": color["ink"], "labelFontSize": 12, "labelLimit": 0, "orient": "top"}
    legend |= {"titleLimit": 0, "columns": 4, "columnPadding": 14}
    legend |= {"symbolOpacity": 1, "symbolBaseFillColor": GREY}
    title = {"color": color["ink"], "anchor": "start", "fontSize": 14, "fontWeight": 600}
    subtitle = {"subtitleColor": color["quiet"], "subtitleFontSize": 12, "subtitlePadding": 6}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {**axis, "titlePadding": 8, "labelFlush": False, **labels, **titles},
        "header": labels | titles,
        "legend": legend | titles,
        "title": title | subtitle,
        "text": {"color": color["ink"]},
        "style": {name: {"color": color[name]} for name in ("ink", "quiet")},
    }


def file_config() -> Specification:
    """Return the configuration of a chart that is written to a separate file."""
    return vega_config("light") | {"background": SCHEMES["light"]["paper"], "padding": PADDING}


def picture(chart: Specification, kind: str) -> bytes:
    """Render a chart as "png" or "svg"."""
    import vl_convert

    whole = chart | {"config": file_config()}
    if kind == "png":
        return bytes(vl_convert.vegalite_to_png(whole, scale=PNG_SCALE))
    return str(vl_convert.vegalite_to_svg(whole)).encode()


def check_files(files: Sequence[Path]) -> None:
    """Raise ConfigError unless every file name ends in .png or .svg."""
    for file in files:
        if file.suffix.lower() not in FILES:
            raise ConfigError(f"the chart must be a {' or '.join(FILES)} file, got {file}")


def check_plots() -> None:
    """Raise ConfigError if a package of the extra `plots` is not installed."""
    check_extra("microgpt-cli[plots]", "charts", "altair", "vl_convert")


def write_chart(chart: "ChartType", files: Sequence[Path]) -> None:
    """Write a chart to .png and .svg files atomically; raise CheckpointError if a write fails."""
    for file in files:
        content = picture(chart.to_dict(), file.suffix.lower().removeprefix("."))
        publish(file.parent, {file.name: content})
