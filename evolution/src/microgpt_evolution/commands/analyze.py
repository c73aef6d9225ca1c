"""`microgpt analyze`: scaling of the loss with steps, size and cost."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import AS_JSON, CHART_HELP, argument, option
from microgpt_evolution.commands.runs import RUNS, newest_run
from microgpt_evolution.errors import StudyError

if TYPE_CHECKING:
    from microgpt_evolution.report.ranking import Ranking
    from microgpt_evolution.study_settings import SweepSettings


@examples("microgpt analyze --output scaling.svg")
def analyze(
    runs: list[Path] | None = argument(
        None, f"Directories of sweeps.  [default: the newest in {RUNS}]", "RUN"
    ),
    output: list[Path] | None = option(None, CHART_HELP, metavar="<path>"),
    as_json: bool = AS_JSON,
) -> None:
    """Show how the loss scales with steps, model size and cost.

    The tables show held-out losses, averaged over the seeds, with 95% confidence intervals, and the
    gain per 1,000 steps. Sweeps on the same documents are combined.
    """
    from microgpt_cli.charts.results import writer
    from microgpt_evolution.report import tables
    from microgpt_evolution.report.scaling import Scaling

    write = writer(output) if output else None
    directories = runs or [newest_run("sweep_*", "sweep", "sweep steps")]
    sweeps = [_read_sweep(directory) for directory in directories]
    first, ranking = sweeps[0]
    for directory, (sweep, _) in zip(directories, sweeps, strict=True):
        if sweep.documents != first.documents:
            raise StudyError(
                f"{directories[0]} and {directory} use different documents ({first.input}, "
                f"{sweep.input}), so their losses are not comparable; analyze them separately"
            )
    records = [record for _, ranking in sweeps for record in ranking.records]
    scaling = Scaling(replace(ranking, records=records))
    if not scaling.candidates:
        raise ConfigError(
            f"no training run of {', '.join(map(str, directories))} is complete; analyze another "
            "sweep with microgpt analyze RUN"
        )
    if output and write:
        write(scaling)
        note(f"the charts are in {', '.join(map(str, output))}")
    if as_json:
        share = first.contamination.get("validation", 0.0)
        facts = {"runs": [*map(str, directories)], "contamination": share}
        print(json.dumps(facts | tables.as_json(scaling)))
        return
    for line in tables.as_text(scaling):
        print(line)


def _read_sweep(directory: Path) -> "tuple[SweepSettings, Ranking]":
    """Return the settings and the trials of a sweep, and print notes on those that are excluded."""
    from microgpt import as_argument
    from microgpt_evolution.report.ranking import read_ranked_study
    from microgpt_evolution.study_settings import SweepSettings

    study = read_ranked_study(directory)
    sweep = study.settings
    if not isinstance(sweep, SweepSettings):
        raise StudyError(
            f"{directory} is a {sweep.kind}, not a sweep; see it with: "
            f"microgpt report {as_argument(directory)}"
        )
    n_known, n_all = len(study.records), len(sweep.trials)
    if n_failed := sum(not record.is_ok for record in study.records):
        note(f"{n_failed} of {n_all} training runs of {directory} failed and are excluded")
    if n_known < n_all:
        note(
            f"{n_known} of {n_all} training runs of {directory} have ended; resume with: "
            f"microgpt sweep resume {as_argument(directory)}"
        )
    return sweep, study.rankings[0]
