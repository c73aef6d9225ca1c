"""Where the commands write runs, genomes and reports."""

from pathlib import Path

from microgpt import ConfigError
from microgpt_cli.terminal.console import note

RUNS = Path("experiments")  # default directory for searches and sweeps
DEFAULT_GENOME = Path("genome.json")  # default output file of a search
REPORT = "report.html"


def run_path(path: Path | None) -> Path | None:
    """Return the path of a run; raise ConfigError if it exists only in the directory of runs."""
    if path and not path.exists() and (RUNS / path).exists():
        raise ConfigError(f"{path} does not exist; did you mean {RUNS / path}?")
    return path


def newest_run(pattern: str, kind: str, how: str) -> Path:
    """Return the newest run whose name matches the pattern."""
    found = [path.parent for path in RUNS.glob(f"{pattern}/settings.json")]
    if not found:
        raise ConfigError(f"there is no {kind} in {RUNS}; create one with `microgpt {how}`")
    return max(found, key=lambda directory: (directory / "settings.json").stat().st_mtime_ns)


def write_final_report(directory: Path) -> None:
    """Write the report of a finished run; on failure, print a note with the reason."""
    file = directory / REPORT
    try:
        from microgpt_evolution.report.study_report import write_report

        write_report(directory, file)
    except Exception as error:  # the results are already saved
        note(f"{REPORT} was not written: {error}")
    else:
        note(f"the report is in {file}")
