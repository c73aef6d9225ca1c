"""What a search did, generation by generation, as its records tell it; nothing is trained again.

A search follows from its settings and from what it is told. Told again what is on record, it breeds
again what it bred: elites and migrants, which have no line of their own, are there, too. This
module opens no file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.search.aesthetic_population import AestheticPopulation
from microgpt_evolution.search.hydra import HEAD_GENERATIONS
from microgpt_evolution.search.hydra_population import Hydra
from microgpt_evolution.search.loss import POPULATION
from microgpt_evolution.search.loss_search import LossSearch
from microgpt_evolution.search.stagnation import Rung

Search = LossSearch | AestheticPopulation | Hydra
Known = Callable[[Genome, int], Evaluation | None]

_PENDING = Evaluation("crashed")  # told of by itself alone, and so known by its identity


@dataclass(frozen=True)
class Generation:
    """A generation.

    Attributes:
        number: counted from 1.
        populations: the organisms that have been evaluated, by the name of their population, each
            ranked.
        rung: how it was bred, in a loss evolution.
    """

    number: int
    populations: Mapping[str, Sequence[Organism]]
    rung: Rung = "normal"


def replay(search: Search, n_generations: int, known: Known) -> list[Generation]:
    """Return the generations of a search, as far as it has come; the last may be incomplete.

    Args:
        search: at its beginning; it is changed.
        n_generations: as many as each population has.
        known: returns what is on record of a genome and a seed.
    """
    generations: list[Generation] = []
    rung: Rung = "normal"
    for number in range(1, n_generations + 1):
        if number > 1:
            rung = _breed(search, number)
        todo = search.to_evaluate()
        found = [known(organism.genome, organism.seed) for organism in todo]
        if todo and not any(found):
            break
        search.tell([evaluation or _PENDING for evaluation in found])
        populations = {
            name: [organism for organism in ranked if organism.evaluation is not _PENDING]
            for name, ranked in _populations(search).items()
        }
        generations.append(Generation(number, populations, rung))
        if not all(found):
            break
    return generations


def _breed(search: Search, number: int) -> Rung:
    if isinstance(search, LossSearch):
        return search.breed()
    if isinstance(search, Hydra) and number % HEAD_GENERATIONS == 1:
        search.gather()
    else:
        search.breed()
    return "normal"


def _populations(search: Search) -> dict[str, Sequence[Organism]]:
    if isinstance(search, Hydra):
        return {name: colony.organisms for name, colony in search.heads.items()}
    if isinstance(search, AestheticPopulation):
        return {search.measure: search.organisms}
    return {POPULATION: search.generations[-1]}
