"""Evaluations of a search.

Searches are deterministic: given the recorded evaluations, a search breeds the same organisms
again. `replay` thus rebuilds the generations, including elites and migrants, which have no separate
records.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.organism import Evaluation, Organism
from microgpt_evolution.runs.run_directory import RunDirectory
from microgpt_evolution.search.settings import Search, SearchSettings

_PENDING = Evaluation("crashed")  # sentinel for a missing evaluation; compared by identity

Known = Mapping[tuple[Genome, int], Evaluation]  # evaluations by genome and seed
Generation = Mapping[str, Sequence[Organism]]  # evaluated organisms, ranked, by population name


class Records(RunDirectory[SearchSettings]):
    """The records of a search; see `RunDirectory`."""

    settings_type = SearchSettings


def read_search(path: Path) -> Records:
    """Read the records of a search, given the run directory or its log file.

    Raises:
        RunError: the run is missing, of another kind, damaged, or has no evaluations yet.
    """
    run = Records.read(path)
    if not run.lines:
        raise RunError(f"{run.directory} has no evaluations yet; try again later")
    return run


def replay(search: Search, n_generations: int, known: Known) -> list[Generation]:
    """Return the recorded generations of a new search; the last one may be incomplete."""
    generations: list[Generation] = []
    for _ in range(n_generations):
        todo = search.ask()
        found = [known.get((organism.genome, organism.seed)) for organism in todo]
        if todo and not any(found):
            break
        search.tell([evaluation or _PENDING for evaluation in found])
        ranked = {
            name: [o for o in population.generations[-1] if o.evaluation is not _PENDING]
            for name, population in search.populations.items()
        }
        generations.append(ranked)
        if not all(found):
            break
    return generations
