"""`microgpt report`: write an HTML report of a search or of sweeps."""

import os
from pathlib import Path

from microgpt_cli.terminal.console import terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument, option
from microgpt_evolution.commands.runs import REPORT, RUNS, newest_run


@examples("microgpt report experiments/evolve_20261120_120000")
def report(
    runs: list[Path] | None = argument(
        None, f"Run directories or log files.  [default: the newest run in {RUNS}]", "RUN"
    ),
    output: Path | None = option(
        None, f"HTML file.  [default: {REPORT} in RUN; for several RUNs, ./{REPORT}]"
    ),
) -> None:
    """Write an HTML report of a search or of sweeps.

    The report is a single file that works offline. Runs may be unfinished. Several sweeps
    of the same documents are combined.
    """
    from microgpt_report.run_report import write_report

    named = runs or [newest_run("*", "run", "evolve` or `microgpt sweep")]
    named = [path.with_suffix("") if path.suffix == ".log" else path for path in named]
    directories = [*{os.path.realpath(path): path for path in named}.values()]
    file = output or (directories[0] / REPORT if len(directories) == 1 else Path(REPORT))
    write_report(directories, file)
    print(terminal_safe(str(file)))
