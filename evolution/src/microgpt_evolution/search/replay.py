"""Rebuild the generations of a search from its records, without training.

Searches are deterministic: given the recorded evaluations, a search breeds the same organisms
again. This includes elites and migrants, which have no records of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.settings import Search
from microgpt_evolution.search.stagnation import StagnationStage

Known = Callable[[Genome, int], Evaluation | None]

_PENDING = Evaluation("crashed")  # sentinel for a missing evaluation; compared by identity


@dataclass(frozen=True)
class Generation:
    """The evaluated organisms of one generation."""

    number: int  # generation number, counted from 1
    populations: Mapping[str, Sequence[Organism]]  # ranked organisms, by population name
    stage: StagnationStage = "normal"  # how the generation was bred; used in loss searches


def replay(search: Search, n_generations: int, known: Known) -> list[Generation]:
    """Return the recorded generations of a search; the last one may be incomplete.

    Args:
        search: new search; modified in place.
        known: function that returns the recorded evaluation of a genome and seed, or None.
    """
    generations: list[Generation] = []
    for number in range(1, n_generations + 1):
        todo = search.ask()
        found = [known(organism.genome, organism.seed) for organism in todo]
        if todo and not any(found):
            break
        search.tell([evaluation or _PENDING for evaluation in found])
        populations = {
            name: [o for o in population.generations[-1] if o.evaluation is not _PENDING]
            for name, population in search.populations.items()
        }
        stage = search.stage if isinstance(search, LossSearch) else "normal"
        generations.append(Generation(number, populations, stage))
        if not all(found):
            break
    return generations
