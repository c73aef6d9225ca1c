"""`microgpt report`: write an HTML report of searches or sweeps."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.errors import MicrogptError
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.options import RUNS

if TYPE_CHECKING:
    from microgpt_report.page import Report

REPORT = "report.html"


class ReportError(MicrogptError):
    """A report cannot be created."""


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help=f"Run directories or log files.  [default: the newest run in {RUNS}]",
            metavar="RUN",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help=f"HTML file.  [default: {REPORT} in RUN; for several RUNs, ./{REPORT}]"),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(help="Also save the charts as PNG files in this directory."),
    ] = None,
) -> None:
    """Write an HTML report of searches or sweeps.

    The report is a single file that works offline. Runs may be unfinished. Several searches are
    compared; several sweeps of the same documents are combined.
    """
    named = runs or [newest_run("*", "run", "evolve` or `microgpt sweep")]
    named = [path.with_suffix("") if path.suffix == ".log" else path for path in named]
    directories = [*{os.path.realpath(path): path for path in named}.values()]
    found = read_report(directories)
    file = output or (directories[0] / REPORT if len(directories) == 1 else Path(REPORT))
    print(terminal_safe(str(write_report(found, file))))
    if png:
        from microgpt.files.atomic_files import publish
        from microgpt_report.page import png as draw

        pictures = {f"{s.name}.png": draw(s, found) for s in found.sections if s.chart}
        publish(png, pictures)
        for name in pictures:
            print(terminal_safe(str(png / name)))


def read_report(directories: Sequence[Path]) -> "Report":
    """Return the report of one or more runs.

    Raises:
        RunError: a run is missing, damaged or empty, or the runs use different documents.
        ReportError: sweeps and searches are mixed.
        PlotError: the extra `plots` is not installed.
    """
    from microgpt_cli.commands.plot import require_plots
    from microgpt_cli.search.next_commands import next_commands
    from microgpt_evolution.budgeted.settings import BUDGET
    from microgpt_evolution.runs.records import SWEEP
    from microgpt_evolution.runs.run_directory import read_settings

    kinds = [SWEEP in read_settings(directory) for directory in directories]
    if any(kinds) and not all(kinds):
        sweep, search = directories[kinds.index(True)], directories[kinds.index(False)]
        raise ReportError(f"{sweep} is a sweep, but {search} is a search; report them separately")
    budgeted = [path for path in directories if BUDGET in read_settings(path)]
    if budgeted and len(directories) > 1:
        raise ReportError(f"{budgeted[0]} is a search with a budget; report it separately")
    with require_plots("a report"):
        if budgeted:
            from microgpt_report.budgeted_report import budgeted_report

            found = budgeted_report(directories[0])
            return replace(found, commands=next_commands(directories[0]))
        if all(kinds):
            from microgpt_report.sweep_report import sweep_report

            return replace(sweep_report(directories), commands=next_commands(directories[0]))
        from microgpt_report.comparison_report import best_of, comparison_report
        from microgpt_report.run_summary import read_run_summary
        from microgpt_report.search_report import search_report
        from microgpt_report.training_runs import labels

        names = labels(directories)
        runs = [read_run_summary(path, name) for path, name in zip(directories, names, strict=True)]
        found = search_report(runs[0]) if len(runs) == 1 else comparison_report(runs)
        best = runs[0] if len(runs) == 1 else best_of(runs)
        return replace(found, commands=next_commands(best.run.directory) if best else ())


def write_report(found: "Report", file: Path) -> Path:
    """Write the report to a file atomically and return the path."""
    from microgpt.files.atomic_files import publish
    from microgpt_report.page import render

    publish(file.parent, {file.name: render(found).encode()})
    return file


def write_final_report(directory: Path) -> None:
    """Write the report of a finished run; on failure, print a note with the reason."""
    try:
        file = write_report(read_report([directory]), directory / REPORT)
    except Exception as error:  # the results are already saved
        note(f"{REPORT} was not written: {error}")
    else:
        note(f"the report is in {file}")


def newest_run(pattern: str, kind: str, how: str) -> Path:
    """Return the newest run whose name matches the pattern."""
    found = [path.parent for path in RUNS.glob(f"{pattern}/run.json")]
    if not found:
        raise ReportError(f"there is no {kind} in {RUNS}; create one with `microgpt {how}`")
    return max(found, key=lambda directory: (directory / "run.json").stat().st_mtime_ns)
