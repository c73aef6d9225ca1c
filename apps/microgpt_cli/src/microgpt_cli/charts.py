"""Write charts to .png and .svg files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt.config import CURVE_FILES
from microgpt.errors import ConfigError, MicrogptError
from microgpt_cli.terminal.console import note

if TYPE_CHECKING:
    import altair as alt

KINDS = (".png", ".svg")
CHART_HELP = "Chart file, .png or .svg; can be repeated."
DEFAULT_FILES = tuple(map(Path, CURVE_FILES))


class PlotError(MicrogptError):
    """Raised when a chart or report cannot be drawn or written."""


def write_curves(directories: Sequence[Path], files: Sequence[Path]) -> None:
    """Draw the loss curves of model directories and write them to files.

    Raises:
        CheckpointError: a training history is missing, damaged or empty.
        ConfigError: a file is neither .png nor .svg.
        PlotError: the extra `plots` is not installed, or a file cannot be written.
    """
    check_kinds(files)

    from microgpt.files.atomic_files import as_argument
    from microgpt_report.training_runs import read_training_runs

    for directory in directories:
        if (directory / "run.json").exists():
            how = f"draw it with: microgpt report {as_argument(directory)}"
            raise PlotError(f"{directory} is a search or a sweep, not a model; {how}")
    runs = read_training_runs(directories)
    with require_plots("plotting"):
        from microgpt_report.charts import loss_curves

        chart = loss_curves.draw(runs)
    write_chart(chart, files)


def draw_training(directory: Path) -> None:
    """Draw the losses of a training run in its directory; on failure, only print a note."""
    try:
        write_curves([directory], [directory / file for file in DEFAULT_FILES])
    except PlotError as error:
        note(f"no plot was saved: {error}")


def check_kinds(files: Sequence[Path]) -> None:
    """Raise ConfigError unless every file name ends in .png or .svg."""
    for file in files:
        if file.suffix.lower() not in KINDS:
            raise ConfigError(f"the chart must be a {' or '.join(KINDS)} file, got {file}")


@contextmanager
def require_plots(what: str) -> Iterator[None]:
    """Raise PlotError if a module of the extra `plots` is not installed."""
    try:
        import vl_convert  # noqa: F401  (Altair uses it to write images)

        yield
    except ImportError as error:
        raise PlotError(
            f"{what} requires the plots extra ({error}); run: pip install 'microgpt-cli[plots]'"
        ) from error


def write_chart(chart: "alt.TopLevelMixin", files: Sequence[Path]) -> None:
    """Write a chart to .png and .svg files atomically; raise PlotError if a write fails."""
    from microgpt.errors import CheckpointError
    from microgpt.files.atomic_files import publish
    from microgpt_report.look import picture

    for file in files:
        content = picture(chart.to_dict(), file.suffix.lower().removeprefix("."))
        try:
            publish(file.parent, {file.name: content})
        except CheckpointError as error:
            raise PlotError(str(error)) from error
