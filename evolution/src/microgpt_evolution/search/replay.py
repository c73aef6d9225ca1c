"""Rebuild the generations of a search from its records, without training.

Given the recorded evaluations, a search breeds the same organisms again, including elites and
migrants, which have no records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.settings import Search
from microgpt_evolution.search.stagnation import StagnationStage

Known = Callable[[Genome, int], Evaluation | None]

_PENDING = Evaluation("crashed")  # compared by identity: marks a missing evaluation


@dataclass(frozen=True)
class Generation:
    """The evaluated organisms of one generation."""

    number: int  # counted from 1
    populations: Mapping[str, Sequence[Organism]]  # by name, each ranked
    stage: StagnationStage = "normal"  # how it was bred, in a loss search


def replay(search: Search, n_generations: int, known: Known) -> list[Generation]:
    """Return the recorded generations of a search; the last may be incomplete.

    Args:
        search: a new search, which is modified.
        known: returns the recorded evaluation of a genome and a seed.
    """
    generations: list[Generation] = []
    for number in range(1, n_generations + 1):
        if number > 1:
            search.breed()
        todo = search.ask()
        found = [known(organism.genome, organism.seed) for organism in todo]
        if todo and not any(found):
            break
        search.tell([evaluation or _PENDING for evaluation in found])
        populations = {
            name: [o for o in population.organisms if o.evaluation is not _PENDING]
            for name, population in search.populations.items()
        }
        stage = search.stage if isinstance(search, LossSearch) else "normal"
        generations.append(Generation(number, populations, stage))
        if not all(found):
            break
    return generations
