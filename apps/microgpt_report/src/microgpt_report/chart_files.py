"""Write charts to .png and .svg files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError, check_extra, publish
from microgpt_report.look import picture

if TYPE_CHECKING:
    from altair.typing import ChartType

KINDS = (".png", ".svg")


def check_files(files: Sequence[Path]) -> None:
    """Raise ConfigError unless every file name ends in .png or .svg."""
    for file in files:
        if file.suffix.lower() not in KINDS:
            raise ConfigError(f"the chart must be a {' or '.join(KINDS)} file, got {file}")


def check_plots() -> None:
    """Raise ConfigError if a package of the extra `plots` is not installed."""
    check_extra("microgpt-report[plots]", "charts", "altair", "vl_convert")


def write_chart(chart: "ChartType", files: Sequence[Path]) -> None:
    """Write a chart to .png and .svg files atomically; raise CheckpointError if a write fails."""
    for file in files:
        content = picture(chart.to_dict(), file.suffix.lower().removeprefix("."))
        publish(file.parent, {file.name: content})
