"""`microgpt plot`: how the losses of trainings fell, as a picture."""

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.errors import ConfigError, MicrogptError
from microgpt_cli.terminal.console import shown

if TYPE_CHECKING:
    import altair as alt

KINDS = (".png", ".svg")
DEFAULT_FILES = (Path("curves.png"), Path("curves.svg"))
PIXELS_A_PIXEL = 2  # of a PNG, which would be blurred on most screens of today


class PlotError(MicrogptError):
    """A picture cannot be drawn or written."""


def plot(
    directories: Annotated[
        list[Path],
        typer.Argument(help="Directories of models.", metavar="DIR", show_default=False),
    ],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="A .png or .svg file; can be given several times.  "
            f"[default: {', '.join(map(str, DEFAULT_FILES))}]",
            metavar="<path>",
        ),
    ] = None,
) -> None:
    """Draw how the losses of one or several trainings fell, and print where the picture is.

    The held-out loss has points, its lowest a ring; the training loss is faint as it was, and
    dashed as its Gaussian mean over a twentieth of the training. One that still
    runs can be drawn too.
    """
    files = output or DEFAULT_FILES
    write_curves(directories, files)
    for file in files:
        print(shown(str(file)))


def write_curves(directories: Sequence[Path], files: Sequence[Path]) -> None:
    """Draw how the losses of trainings fell, and write the picture to each of the files.

    A file appears whole, or stays as it was.

    Args:
        directories: of models with a history.jsonl; their meta.json may be yet to come.
        files: each ends in .png or .svg.

    Raises:
        CheckpointError: a history is missing, damaged or empty.
        ConfigError: a file is to be of another kind.
        PlotError: what draws is not installed, or a file cannot be written.
    """
    check_kinds(files)

    from microgpt_report.runs import read_runs

    runs = read_runs(directories)

    def picture() -> "alt.LayerChart":
        from microgpt_report.curves import draw

        return draw(runs)

    write_picture(picture, files)


def check_kinds(files: Sequence[Path]) -> None:
    """Raise ConfigError unless pictures can be written to such files."""
    for file in files:
        if file.suffix.lower() not in KINDS:
            raise ConfigError(f"a picture is a {' or '.join(KINDS)} file, got {file}")


def write_picture(draw: "Callable[[], alt.TopLevelMixin]", files: Sequence[Path]) -> None:
    """Write a picture to each of the files; one appears whole, or stays as it was.

    Args:
        draw: imports Altair, and returns the picture.
        files: each ends in .png or .svg.

    Raises:
        PlotError: what draws is not installed, or a file cannot be written.
    """
    try:
        import vl_convert  # noqa: F401  (what Altair writes pictures with)

        chart = draw()
    except ImportError as error:
        raise PlotError(
            f"drawing needs the extra plots ({error}); pip install 'microgpt-cli[plots]'"
        ) from error
    for file in files:
        _write(chart, file)


def _write(chart: "alt.TopLevelMixin", file: Path) -> None:
    """Write a picture beside, under a hidden name, and rename it."""
    hidden = file.with_name(f".{uuid.uuid4().hex}{file.suffix.lower()}")
    try:
        try:
            chart.save(hidden, scale_factor=PIXELS_A_PIXEL)
            hidden.replace(file)
        finally:
            hidden.unlink(missing_ok=True)
    except OSError as error:
        raise PlotError(f"cannot write {file}: {error.strerror}; name another file") from error
