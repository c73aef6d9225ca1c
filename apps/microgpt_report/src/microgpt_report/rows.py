"""The data of the pictures: rows that each picture takes what it shows from.

All pictures of a page share them, so that each is on the page once.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.heads import HEADS
from microgpt_evolution.population import Organism, count_species
from microgpt_evolution.runs.evaluation_record import Entry
from microgpt_report.run_summary import RunSummary

Row = dict[str, Any]

PRIMORDIAL = "primordial"
# How an organism was made, in few words: one for each color.
KINDS = {
    "newcomer": ("random", "immigrant", "cataclysm", "genome"),
    "mutant": ("mutant", "hyper", "grown", "tuned"),
    "cross": ("cross", "champion"),
    "elite": ("elite", "re-eval"),
    "migrant": ("migrant",),
    "measured again": ("confirm",),
    PRIMORDIAL: (PRIMORDIAL,),
}
_KIND_OF = {origin: kind for kind, origins in KINDS.items() for origin in origins}
STANDINGS = {"the best tenth": 0.1, "the better half": 0.5, "the others": 1.0}
SPREAD = 0.7  # of the way to the next generation, over which the organisms of one are spread
N_NAMES = 5  # of an organism, in a tooltip


def kind_of(origin: str) -> str:
    """Return in few words how an organism was made; an older log has words of its own."""
    return _KIND_OF.get(origin, origin)


def title_of(population: str) -> str:
    """Return what a population is called in a picture."""
    return HEADS[population].title if population in HEADS else ""  # type: ignore[index]


def evaluation_rows(story: RunSummary) -> list[Row]:
    """Return a row for each evaluation, the worst first, so that the best are drawn over them."""
    front = pareto_front(story)
    rows = [_evaluation_row(story, entry, front) for entry in story.run.entries]
    is_loss = all(measure.is_loss for measure in story.measures.values())

    def worth(row: Row) -> float:
        value = row["worth"]
        return float("inf") if value is None else value if is_loss else -value

    rows.sort(key=worth, reverse=True)
    _add_standings(rows, is_loss=story.common.is_loss)
    return rows


def _add_standings(rows: list[Row], *, is_loss: bool) -> None:
    """Say of each evaluation among which of all it is, by the measure that they have in common."""
    done = [row for row in rows if row["overall"] is not None]
    done.sort(key=lambda row: float(row["overall"]), reverse=not is_loss)
    for place, row in enumerate(done):
        share = (place + 0.5) / len(done)
        row["lead"] = 0.5 - share
        row["standing"] = next(name for name, most in STANDINGS.items() if share <= most)


def _evaluation_row(story: RunSummary, entry: Entry, front: set[str]) -> Row:
    place = story.organisms.get(entry.id)
    origin = place[1] if place else None
    parent = next((story.organisms[p][1] for p in entry.parents if p in story.organisms), None)
    about = origin or parent
    number = about.generation if about else 0
    evaluation = entry.evaluation
    return {
        "id": entry.id,
        "population": title_of(story.population_of(entry)),
        "generation": number,
        "x": number + (_offset(story, entry, about) if about else 0),
        "kind": kind_of(entry.origin),
        "origin": entry.origin,
        "status": evaluation.status,
        "worth": story.worth(entry),
        "overall": story.common.of(evaluation),
        "last_loss": evaluation.last_loss,
        "val_loss": evaluation.val_loss,
        **asdict(entry.genome),
        "params": n_params(story, entry.genome),
        "flops": entry.flops,
        "names": ", ".join(name or "''" for name in evaluation.samples[:N_NAMES]),
        "on_front": entry.id in front,
        "is_winner": story.winner is not None and entry.id == story.winner.id,
    }


def _offset(story: RunSummary, entry: Entry, organism: Organism) -> float:
    """Return how far from the middle of its generation an evaluation stands: by its slot."""
    population = story.population_of(entry)
    ranked = next(
        g.populations[population] for g in story.generations if g.number == organism.generation
    )
    slots = [o.slot for o in ranked]
    return SPREAD * ((organism.slot - min(slots) + 0.5) / (max(slots) - min(slots) + 1) - 0.5)


def n_params(story: RunSummary, genome: Genome) -> int:
    """Return the weights of a genome; without those of tokens, where those are not known."""
    settings = story.settings
    if settings and settings.vocab_size:
        return genome.n_params(settings.vocab_size)
    return genome.n_params(1) - 2 * genome.n_emb


def pareto_front(story: RunSummary) -> set[str]:
    """Return the evaluations that no other beats with as few weights, within a population."""
    front: set[str] = set()
    for population, measure in story.measures.items():
        found = [
            (n_params(story, e.genome), value if measure.is_loss else -value, e.id)
            for e in story.run.entries
            if story.population_of(e) == population
            and kind_of(e.origin) not in ("measured again", PRIMORDIAL)
            and (value := story.worth(e)) is not None
        ]
        best = float("inf")
        for _, cost, id_ in sorted(found):
            if cost < best:
                best = cost
                front.add(id_)
    return front


def generation_rows(story: RunSummary) -> list[Row]:
    """Return a row for each generation of each population: its best and its mean."""
    return [
        {
            "population": title_of(name),
            "generation": generation.number,
            "rung": generation.rung,
            "n": len(ranked),
            "best": max(worths) if not story.measures[name].is_loss else min(worths),
            "mean": fmean(worths),
            "n_species": len(count_species(ranked)),
        }
        for generation in story.generations
        for name, ranked in generation.populations.items()
        if (worths := [organism.worth for organism in ranked if organism.has_finished])
    ]


def species_rows(story: RunSummary, n_named: int) -> list[Row]:
    """Return a row for each species of each generation: its share.

    Args:
        story: the run.
        n_named: species that have a name, those with the most organisms; the others are "other",
            but remain apart.
    """
    everyone = Counter(o.genome.species for _, o in story.organisms.values())
    named = [name for name, n in everyone.most_common(n_named) if n > 1]
    rows = []
    for generation in story.generations:
        alive = [o for ranked in generation.populations.values() for o in ranked]
        counts = count_species(alive)
        order = sorted(
            counts, key=lambda s: (named.index(s) if s in named else n_named, -counts[s])
        )
        low = 0.0
        for species in order:
            high = low + counts[species] / len(alive)
            rows.append(
                {
                    "generation": generation.number,
                    "species": species,
                    "name": species if species in named else "other",
                    "n": counts[species],
                    "low": low,
                    "high": high,
                }
            )
            low = high
    return rows


def ancestors_of(story: RunSummary, organism: Organism) -> set[str]:
    """Return the ids of an organism and all that it descends from."""
    found, queue = set(), [organism.id]
    while queue:
        id_ = queue.pop()
        if id_ not in found and id_ in story.organisms:
            found.add(id_)
            queue += story.organisms[id_][1].parents
    return found


def ranked_organisms(story: RunSummary) -> Iterator[tuple[str, int, Organism]]:
    """Yield each organism with its population and its place in the ranking, counted from 0."""
    for generation in story.generations:
        for name, ranked in generation.populations.items():
            for place, organism in enumerate(ranked):
                yield name, place, organism


def champion_names(story: RunSummary, organism: Organism) -> Sequence[str]:
    """Return what an organism has said."""
    return organism.evaluation.samples if organism.evaluation else ()
