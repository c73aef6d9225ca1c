"""Write the HTML report of a search or of sweeps."""

from collections.abc import Sequence
from pathlib import Path

from microgpt import ConfigError, publish
from microgpt_evolution.runs.run_directory import SWEEP, kind_at
from microgpt_report.look import check_plots


def write_report(directories: Sequence[Path], file: Path) -> None:
    """Write the report of a search, or of one or more sweeps, to a file atomically.

    Raises:
        RunError: a run is missing, damaged or empty, or the runs use different documents.
        ConfigError: sweeps and searches are mixed, there are several searches, or the extra
            `plots` is not installed.
    """
    sweeps = [directory for directory in directories if kind_at(directory) == SWEEP]
    if sweeps and len(sweeps) < len(directories):
        sweep, search = sweeps[0], next(path for path in directories if path not in sweeps)
        raise ConfigError(f"{sweep} is a sweep, but {search} is a search; report them separately")
    if not sweeps and len(directories) > 1:
        raise ConfigError("several searches were given; report them separately")
    check_plots()
    from microgpt_report.page import render
    from microgpt_report.search_report import search_report
    from microgpt_report.search_run import read_search_run
    from microgpt_report.sweep_report import sweep_report

    found = sweep_report(directories) if sweeps else search_report(read_search_run(directories[0]))
    publish(file.parent, {file.name: render(found).encode()})
