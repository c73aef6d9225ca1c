"""`microgpt report`: a page of pictures of a search or a sweep, or of several."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.errors import MicrogptError
from microgpt_cli.terminal.console import note, shown
from microgpt_cli.terminal.options import RUNS

if TYPE_CHECKING:
    from microgpt_report.section import Report

REPORT = "report.html"


class ReportError(MicrogptError):
    """A report cannot be made."""


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help=f"Directories of runs, or logs.  [default: the newest in {RUNS}]",
            metavar="[RUN]...",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help=f"The page.  [default: {REPORT} in the run; of several runs, here]",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the pictures, a PNG each.", metavar="DIR", show_default=False
        ),
    ] = None,
) -> None:
    """Draw what a search or a sweep has found, and print where the page is.

    One HTML file, which needs no network. A run that goes on or was stopped can be reported, too;
    several searches are compared, and several sweeps count as one.
    """
    named = map(_directory, runs or [_newest()])
    directories = [*{os.path.realpath(path): path for path in named}.values()]
    found = read_report(directories)
    file = output or (directories[0] / REPORT if len(directories) == 1 else Path(REPORT))
    print(shown(str(write_report(found, file))))
    if png:
        for path in _write_pictures(found, png):
            print(shown(str(path)))


def read_report(directories: Sequence[Path]) -> "Report":
    """Return what is to be told of one run, or of several.

    Raises:
        RunError: a run is missing, damaged or empty, or they are of different documents.
        ReportError: what draws is not installed.
    """
    from microgpt_evolution.runs.records import SWEEP
    from microgpt_evolution.runs.run_directory import read_settings

    kinds = [SWEEP in read_settings(directory) for directory in directories]
    if any(kinds) and not all(kinds):
        sweep, search = directories[kinds.index(True)], directories[kinds.index(False)]
        raise ReportError(f"{sweep} is a sweep and {search} is none; report them one by one")
    try:
        import vl_convert  # noqa: F401  (what the page is drawn with)

        return _sweeps(directories) if all(kinds) else _searches(directories)
    except ImportError as error:
        raise ReportError(
            f"a report needs the extra plots ({error}); pip install 'microgpt-cli[plots]'"
        ) from error


def _sweeps(directories: Sequence[Path]) -> "Report":
    from microgpt_report.sweep_page import report_of_sweeps

    return report_of_sweeps(directories)


def _searches(directories: Sequence[Path]) -> "Report":
    from microgpt_report.comparison_page import compare
    from microgpt_report.run_summary import read_story
    from microgpt_report.runs import labels
    from microgpt_report.search_page import report_of

    names = labels(directories)
    stories = [read_story(path, name) for path, name in zip(directories, names, strict=True)]
    return report_of(stories[0]) if len(stories) == 1 else compare(stories)


def write_report(found: "Report", file: Path) -> Path:
    """Write the page, whole or not at all, and return where it is."""
    from microgpt.files.atomic_files import publish
    from microgpt_report.page import render

    publish(file.parent, {file.name: render(found).encode()})
    return file


def leave_report(directory: Path) -> None:
    """Write the report of a run that has ended, beside its result; that stands in any case."""
    try:
        file = write_report(read_report([directory]), directory / REPORT)
    except Exception as error:  # whatever it is, what was found has been written and told
        note(f"no {REPORT}: {error}")
    else:
        note(f"pictures of it are in {file}")


def _write_pictures(found: "Report", directory: Path) -> list[Path]:
    from microgpt.files.atomic_files import publish
    from microgpt_report.page import png

    files = {
        f"{section.name}.png": png(section, found) for section in found.sections if section.chart
    }
    publish(directory, files)
    return [directory / name for name in files]


def _directory(path: Path) -> Path:
    """Return the directory of a run that is named by it, or by the log beside."""
    return path.with_suffix("") if path.suffix == ".log" else path


def _newest() -> Path:
    """Return the run that was begun last."""
    found = [path.parent for path in RUNS.glob("*/run.json")]
    if not found:
        raise ReportError(f"there is no run in {RUNS}; make one with: microgpt evolve, or sweep")
    return max(found, key=lambda directory: (directory / "run.json").stat().st_mtime_ns)
