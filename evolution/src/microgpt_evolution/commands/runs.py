"""Where the commands write runs, genomes and reports."""

from pathlib import Path

from microgpt import ConfigError

RUNS = Path("experiments")  # default directory for searches and sweeps
DEFAULT_GENOME = Path("genome.json")  # default output file of a search
REPORT = "report.html"


def newest_run(pattern: str, kind: str, how: str) -> Path:
    """Return the newest run whose name matches the pattern."""
    found = [path.parent for path in RUNS.glob(f"{pattern}/settings.json")]
    if not found:
        raise ConfigError(f"there is no {kind} in {RUNS}; create one with `microgpt {how}`")
    return max(found, key=lambda directory: (directory / "settings.json").stat().st_mtime_ns)
