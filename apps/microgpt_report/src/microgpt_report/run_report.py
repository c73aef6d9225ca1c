"""Write the HTML report of a search or of sweeps."""

from collections.abc import Sequence
from pathlib import Path

from microgpt import ConfigError, publish
from microgpt_evolution.runs.run_directory import BUDGETED, SWEEP, kind_at
from microgpt_evolution.search.records import read_search
from microgpt_evolution.search.retest import read_retest
from microgpt_report.look import check_plots


def write_report(directories: Sequence[Path], file: Path) -> None:
    """Write the report of a search, or of one or more sweeps, to a file atomically.

    Raises:
        RunError: a run is missing, damaged or empty, or the runs use different documents.
        ConfigError: sweeps and searches are mixed, there are several searches, or the extra
            `plots` is not installed.
    """
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
    from microgpt_report.run_summary import summarise
    from microgpt_report.search_report import search_report
    from microgpt_report.sweep_report import sweep_report
    from microgpt_report.training_runs import labels

    if BUDGETED in kinds:
        found = budgeted_report(directories[0])
    elif sweeps:
        found = sweep_report(directories)
    else:
        run = read_search(directories[0])
        found = search_report(summarise(run, labels(directories)[0], read_retest(run.directory)))
    publish(file.parent, {file.name: render(found).encode()})
