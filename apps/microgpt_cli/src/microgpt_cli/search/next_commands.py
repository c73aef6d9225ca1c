"""Commands that continue a search or a sweep, for the end of its report."""

from pathlib import Path

from microgpt.files.atomic_files import as_argument
from microgpt_cli.input_files import from_here
from microgpt_cli.search.sweep_ranking import data_options, ranked, train_command
from microgpt_evolution.genome_file import GENOME
from microgpt_evolution.runs.run_directory import SWEEP, kind_of
from microgpt_evolution.runs.run_files import read_settings
from microgpt_evolution.sweep.records import read_sweep


def next_commands(directory: Path) -> list[str]:
    """Return the commands that resume a run, or that train its winner and use it."""
    settings, run = read_settings(directory), from_here(directory)
    is_chat, model = settings.get("chat", False), as_argument(Path(f"{directory.name}-winner"))
    use = f"microgpt {'chat' if is_chat else 'generate'} --model {model}"
    if kind_of(settings) == SWEEP:
        sweep, results = read_sweep(directory)
        if len(results) < len(sweep.tasks):
            return [f"microgpt sweep resume {as_argument(run)}"]
        cells = ranked(sweep, results)
        return [train_command(sweep, cells[0].config, directory), use] if cells else []
    if not (directory / GENOME).exists():
        return [f"microgpt evolve --resume {as_argument(run)}"]
    data = ""
    if "input" in settings:  # an imported log does not name its documents
        data = data_options(settings["input"], settings.get("column"), chat=is_chat)
    genome = as_argument(run / GENOME)
    return [f"microgpt train {data}--genome {genome} --model {model}", use]
