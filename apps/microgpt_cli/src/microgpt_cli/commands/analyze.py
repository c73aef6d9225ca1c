"""`microgpt analyze`: what sweeps say about steps, size and cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import RUNS, AsJson

if TYPE_CHECKING:
    import altair as alt

    from microgpt_evolution.population import Status
    from microgpt_evolution.sweep.scaling import Scaling


def analyze(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help=f"Directories of sweeps.  [default: the newest in {RUNS}]",
            metavar="[RUN]...",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="A .png or .svg file for a picture; can be given several times.",
            metavar="<path>",
            show_default=False,
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each model.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what sweeps say: loss against steps, size and cost, and what each step has returned.

    Losses are of held-out documents: means over the seeds, with 95 % intervals. Several sweeps of
    the same documents count as one.
    """
    if as_csv and as_json:
        raise ConfigError("--csv and --json are two ways to print the same; leave one out")

    from microgpt_cli.commands.plot import check_kinds

    check_kinds(output or ())
    directories = runs or [_newest()]
    scaling = _read(directories)
    if output:
        _draw(scaling, output)
    _print(scaling, directories, as_csv=as_csv, as_json=as_json)


def _newest() -> Path:
    """Return the sweep that was begun last."""
    found = [path.parent for path in RUNS.glob("sweep_*/run.json")]
    if not found:
        raise ConfigError(f"there is no sweep in {RUNS}; make one with: microgpt sweep steps")
    return max(found, key=lambda directory: (directory / "run.json").stat().st_mtime_ns)


def _read(directories: Sequence[Path]) -> "Scaling":
    """Return what sweeps say together.

    Raises:
        RunError: one is none, or its records are damaged.
        ConfigError: they are of different data, or nothing is in them.
    """
    from microgpt_evolution.sweep.records import read_sweep
    from microgpt_evolution.sweep.scaling import Scaling

    sweeps = [read_sweep(directory) for directory in directories]
    first, _ = sweeps[0]
    for directory, (sweep, results) in zip(directories, sweeps, strict=True):
        if sweep.documents != first.documents:
            raise ConfigError(
                f"{directories[0]} and {directory} are sweeps of different documents "
                f"({first.input}, {sweep.input}), so their losses cannot be compared; analyze one "
                "at a time"
            )
        _note_missing(directory, [result.status for result in results], len(sweep.tasks))
    scaling = Scaling.of(result for _, results in sweeps for result in results)
    if not scaling.cells:
        raise ConfigError("no training has come to its end, so there is nothing to tell")
    return scaling


def _note_missing(directory: Path, statuses: "Sequence[Status]", n_all: int) -> None:
    """Tell which trainings of a sweep are in no mean, and what can be done about it."""
    from microgpt.files.atomic_files import as_argument

    n_ok, n_diverged = statuses.count("ok"), statuses.count("diverged")
    if n_diverged:  # as it would again
        note(f"{n_diverged} of {n_all} trainings of {directory} diverged, and are in no mean")
    if n_ok + n_diverged < n_all:
        note(
            f"{n_ok} of {n_all} trainings of {directory} have come to their end; go on with: "
            f"microgpt sweep resume {as_argument(directory)}"
        )


def _draw(scaling: "Scaling", files: Sequence[Path]) -> None:
    from microgpt_cli.commands.plot import write_picture

    def picture() -> "alt.VConcatChart":
        from microgpt_report.scaling.picture import draw

        return draw(scaling)

    write_picture(picture, files)


def _print(scaling: "Scaling", runs: Sequence[Path], *, as_csv: bool, as_json: bool) -> None:
    from microgpt_report.scaling import data
    from microgpt_report.scaling import tables as scaling_tables

    if as_json:
        document = {"runs": list(map(str, runs)), **data.as_document(scaling)}
        print(json.dumps(document))
    elif as_csv:
        print(data.as_csv(scaling), end="")
    else:
        for line in scaling_tables.tables(scaling):
            print(line)
