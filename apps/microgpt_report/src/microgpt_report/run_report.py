"""Write the HTML report of a search or of sweeps, with the commands to type next."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microgpt import ConfigError, ReadOptions, as_argument, publish
from microgpt_evolution.commands.sweep_ranking import (
    data_options,
    from_here,
    ranked,
    train_command,
)
from microgpt_evolution.genome_file import GENOME
from microgpt_evolution.runs.run_directory import BUDGETED, SWEEP, kind_at, kind_of
from microgpt_evolution.runs.run_files import read_settings
from microgpt_evolution.search.records import read_search
from microgpt_evolution.search.retest import read_retest
from microgpt_evolution.sweep.records import read_sweep
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
    found = replace(found, commands=_next_commands(directories[0]))
    publish(file.parent, {file.name: render(found).encode()})


def _next_commands(directory: Path) -> list[str]:
    """Return the commands that resume a run, or that train its winner and use it."""
    settings, run = read_settings(directory), from_here(directory)
    is_chat, model = bool(settings.get("chat")), as_argument(Path(f"{directory.name}-winner"))
    use = f"microgpt {'chat' if is_chat else 'generate'} --model {model}"
    kind = kind_of(settings)
    resume = [f"{kind.resume} {as_argument(run)}"]
    if kind == SWEEP:
        sweep, results = read_sweep(directory)
        if len(results) < len(sweep.tasks):
            return resume
        cells = ranked(sweep, results)
        return [train_command(sweep, cells[0].config, directory), use] if cells else []
    if not (directory / GENOME).exists():
        return resume
    data = "--data FILE "
    if settings["input"] != "documents":  # which Python passed
        data = data_options(str(settings["input"]), ReadOptions.of(settings))
    genome = as_argument(run / GENOME)
    return [f"microgpt train {data}--genome {genome} --model {model}", use]
