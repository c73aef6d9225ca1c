"""The Hydra: heads that evolve apart, each for a beauty of its own, and meet now and then.

    hydra = Hydra(HEADS, size=8, run_seed=42)
    for _ in range(5):                              # a cycle
        for generation in range(3):                 # isolation
            hydra.tell(evaluations of hydra.to_evaluate())
            if generation < 2:
                hydra.breed()
        hydra.gather()                              # the gathering, and cross-pollination

It is a pure function of its arguments and of what it is told: it knows nothing of how an organism
is evaluated, and neither clock nor files.
"""

from collections.abc import Sequence
from random import Random
from typing import Literal

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.heads import HeadName
from microgpt_evolution.operators import crossover
from microgpt_evolution.population import Evaluation, Organism
from microgpt_evolution.search.aesthetic_population import N_ELITES, AestheticPopulation
from microgpt_evolution.search.offspring import Offspring

Exchange = Literal["migrate", "source"]

N_GUESTS = 2  # heads whose champions come to a head


class Hydra:
    """The heads, and the generator that all their breeding draws from.

    Attributes:
        heads: a colony each, by name.
        exchange: what happens when they meet. "migrate": the champions of two other heads take the
            place of the worst in each, and their offspring with its own champion that of the next
            worst. "source": the two best of all heads take the place of all but the two best in
            each, so that after some cycles all heads are one; it is there to be compared with.
    """

    def __init__(
        self,
        names: Sequence[HeadName],
        *,
        size: int,
        run_seed: int,
        exchange: Exchange = "migrate",
        ancestor: Genome | None = None,
    ) -> None:
        """Make the first generation of each head.

        Args:
            names: of the heads.
            size: of the population of each.
            run_seed: of the run.
            exchange: see `Hydra`.
            ancestor: what comes first in each head; see `AestheticPopulation`.
        """
        self.exchange = exchange
        self._rng = Random(run_seed)
        self.heads = {
            name: AestheticPopulation(
                measure=name,
                size=size,
                run_seed=run_seed,
                rng=self._rng,
                first_slot=1 + place * size,
                ancestor=ancestor,
            )
            for place, name in enumerate(names)
        }

    @property
    def organisms(self) -> list[Organism]:
        """The organisms of all heads."""
        return [organism for colony in self.heads.values() for organism in colony.organisms]

    def to_evaluate(self) -> list[Organism]:
        """Return the organisms of all heads of which nothing is known yet."""
        return [organism for colony in self.heads.values() for organism in colony.to_evaluate()]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Rank the generation of each head.

        Args:
            evaluations: of the organisms to evaluate, in their order.
        """
        news = iter(evaluations)
        for colony in self.heads.values():
            colony.tell([next(news) for _ in colony.to_evaluate()])

    def breed(self) -> None:
        """Replace the generation of each head by the next."""
        for colony in self.heads.values():
            colony.breed()

    def champions(self, n: int = N_ELITES) -> dict[HeadName, list[Organism]]:
        """Return the best of each head, as many of them as have finished."""
        return {
            name: [organism for organism in colony.organisms[:n] if organism.has_finished]
            for name, colony in self.heads.items()
        }

    def gather(self) -> None:
        """Let the heads exchange genes, and so begin the next generation of each."""
        champions = self.champions()
        for name, colony in self.heads.items():
            room = max(len(colony.organisms) - N_ELITES, 0)
            children = self._pool(champions, room) if self.exchange == "source" else (
                self._guests(name, champions, room)
            )  # fmt: skip
            colony.receive(children)

    def _guests(
        self, host: HeadName, champions: dict[HeadName, list[Organism]], room: int
    ) -> list[Offspring]:
        """Return champions of other heads, the next in the ring first, then their offspring."""
        names = list(self.heads)
        ring = [*names[names.index(host) + 1 :], *names[: names.index(host)]]
        guests = [champions[name][0] for name in ring if champions[name]][:N_GUESTS]
        children = [Offspring.same(guest, "migrant") for guest in guests]
        if champions[host]:
            own = champions[host][0]
            for guest in guests:
                genome = crossover(own.genome, guest.genome, self._rng)
                children.append(Offspring(genome, "cross", (own, guest)))
        return children[:room]

    def _pool(self, champions: dict[HeadName, list[Organism]], room: int) -> list[Offspring]:
        """Return the best of all heads, of each in turn the first, then the second."""
        everyone = [best[i] for i in range(N_ELITES) for best in champions.values() if best[i:]]
        return [Offspring.same(organism, "migrant") for organism in everyone[:room]]
