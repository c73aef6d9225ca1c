"""Write charts to .png and .svg files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt.errors import ConfigError
from microgpt.extras import check_extra

if TYPE_CHECKING:
    import altair as alt

KINDS = (".png", ".svg")
CHART_HELP = "Chart file, .png or .svg; can be repeated."
DEFAULT_FILES = (Path("curves.png"), Path("curves.svg"))


def write_curves(directories: Sequence[Path], files: Sequence[Path]) -> None:
    """Draw the loss curves of model directories and write them to files.

    Raises:
        CheckpointError: a training history is missing, damaged or empty, or a file cannot be
            written.
        ConfigError: a file is neither .png nor .svg, or the extra `plots` is not installed.
    """
    check_kinds(files)

    from microgpt.files.atomic_files import as_argument
    from microgpt_report.training_runs import read_training_runs

    for directory in directories:
        if (directory / "run.json").exists():
            how = f"draw it with: microgpt report {as_argument(directory)}"
            raise ConfigError(f"{directory} is a search or a sweep, not a model; {how}")
    runs = read_training_runs(directories)
    check_plots()
    from microgpt_report.charts import loss_curves

    write_chart(loss_curves.draw(runs), files)


def check_kinds(files: Sequence[Path]) -> None:
    """Raise ConfigError unless every file name ends in .png or .svg."""
    for file in files:
        if file.suffix.lower() not in KINDS:
            raise ConfigError(f"the chart must be a {' or '.join(KINDS)} file, got {file}")


def check_plots() -> None:
    """Raise ConfigError if a package of the extra `plots` is not installed."""
    check_extra("plots", "charts", "altair", "vl_convert", package="microgpt-cli")


def write_chart(chart: "alt.TopLevelMixin", files: Sequence[Path]) -> None:
    """Write a chart to .png and .svg files atomically; raise CheckpointError if a write fails."""
    from microgpt.files.atomic_files import publish
    from microgpt_report.look import picture

    for file in files:
        content = picture(chart.to_dict(), file.suffix.lower().removeprefix("."))
        publish(file.parent, {file.name: content})
