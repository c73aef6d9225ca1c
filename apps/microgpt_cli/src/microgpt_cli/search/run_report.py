"""Write the HTML report of a search or of sweeps."""

from collections.abc import Sequence
from pathlib import Path

from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import RUNS

REPORT = "report.html"


def write_report(directories: Sequence[Path], file: Path) -> None:
    """Write the report of a search, or of one or more sweeps, to a file atomically.

    Raises:
        RunError: a run is missing, damaged or empty, or the runs use different documents.
        ConfigError: sweeps and searches are mixed, there are several searches, or the extra
            `plots` is not installed.
    """
    from microgpt.files.atomic_files import publish
    from microgpt_cli.charts import check_plots
    from microgpt_evolution.runs.run_directory import BUDGETED, SWEEP, kind_at

    kinds = [kind_at(directory) for directory in directories]
    sweeps = [path for path, kind in zip(directories, kinds, strict=True) if kind == SWEEP]
    if sweeps and len(sweeps) < len(directories):
        sweep, search = sweeps[0], next(path for path in directories if path not in sweeps)
        raise ConfigError(f"{sweep} is a sweep, but {search} is a search; report them separately")
    if not sweeps and len(directories) > 1:
        raise ConfigError("several searches were given; report them separately")
    check_plots()
    from microgpt_report.budgeted_report import budgeted_report
    from microgpt_report.page import render
    from microgpt_report.run_summary import read_run_summary
    from microgpt_report.search_report import search_report
    from microgpt_report.sweep_report import sweep_report
    from microgpt_report.training_runs import labels

    if BUDGETED in kinds:
        found = budgeted_report(directories[0])
    elif sweeps:
        found = sweep_report(directories)
    else:
        found = search_report(read_run_summary(directories[0], *labels(directories)))
    publish(file.parent, {file.name: render(found).encode()})


def write_final_report(directory: Path) -> None:
    """Write the report of a finished run; on failure, print a note with the reason."""
    file = directory / REPORT
    try:
        write_report([directory], file)
    except Exception as error:  # the results are already saved
        note(f"{REPORT} was not written: {error}")
    else:
        note(f"the report is in {file}")


def newest_run(pattern: str, kind: str, how: str) -> Path:
    """Return the newest run whose name matches the pattern."""
    found = [path.parent for path in RUNS.glob(f"{pattern}/run.json")]
    if not found:
        raise ConfigError(f"there is no {kind} in {RUNS}; create one with `microgpt {how}`")
    return max(found, key=lambda directory: (directory / "run.json").stat().st_mtime_ns)
