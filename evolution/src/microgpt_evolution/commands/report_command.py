"""`microgpt report`: write an HTML report of a search, a sweep or a research study."""

from pathlib import Path

from microgpt_cli.terminal.console import terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument
from microgpt_evolution.commands.study_options import RUNS, newest_run


@examples("microgpt evolve && microgpt report")
def report(
    run: Path | None = argument(
        None, f"Directory of a run.  [default: the newest run in {RUNS}]", "RUN"
    ),
) -> None:
    """Write an HTML report of a search, a sweep or a research study, which may be unfinished.

    The report is report.html in RUN, a single file that works offline.
    """
    from microgpt_evolution.report.study_report import write_report

    print(terminal_safe(str(write_report(run or newest_run()))))
