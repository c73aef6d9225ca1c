"""Commands that continue a search or a sweep, for the end of its report."""

from pathlib import Path

from microgpt.files.atomic_files import as_argument
from microgpt_cli.input_files import from_here
from microgpt_cli.search.sweep_ranking import data_options, ranked, train_command
from microgpt_evolution.runs.records import GENOME, SWEEP
from microgpt_evolution.runs.run_directory import read_settings
from microgpt_evolution.sweep.records import read_sweep

WINNER = Path("winner")  # directory of the trained winner


def next_commands(directory: Path) -> list[str]:
    """Return the commands that resume a run, or that train its winner and use it."""
    settings, run = read_settings(directory), from_here(directory)
    is_chat = settings.get("chat", False)
    if SWEEP in settings:
        sweep, results = read_sweep(directory)
        if len(results) < len(sweep.tasks):
            return [f"microgpt sweep resume {as_argument(run)}"]
        cells = ranked(sweep, results)
        train = [train_command(sweep, cells[0].config, WINNER)] if cells else []
    elif not (directory / GENOME).exists():
        return [f"microgpt evolve --resume {as_argument(run)}"]
    else:
        known = "input" in settings  # an imported log does not name its documents
        data = data_options(settings["input"], settings["column"], chat=is_chat) if known else ""
        train = [f"microgpt train {data}--genome {as_argument(run / GENOME)} --model {WINNER}"]
    use = f"microgpt chat {WINNER}" if is_chat else f"microgpt generate --model {WINNER}"
    return [*train, *([use] if train else [])]
