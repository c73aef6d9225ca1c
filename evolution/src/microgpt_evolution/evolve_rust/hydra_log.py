"""The log of a Hydra evolution, in the wording of evolve-rust and its README."""

from collections.abc import Mapping, Sequence

from microgpt_evolution.evolve_rust.aesthetic_log import genes, score, shown
from microgpt_evolution.objectives.hydra_heads import HEADS, HeadName
from microgpt_evolution.population import Organism
from microgpt_evolution.search.archive import N_CELLS, Archive
from microgpt_evolution.search.selection import Candidate

RULE = "━" * 58
MOTTO = "We think, therefore we are"


def header(
    *, log: str, heads: Sequence[HeadName], cycles: int, exchange: str, seed: int
) -> list[str]:
    """Return the first lines."""
    return [
        f"Hydra Evolution (v3) — {len(heads)} Heads, {cycles} Cycles, Parallel Execution",
        RULE,
        f'  "{MOTTO}"',
        f"  Experiment: {log}",
        f"  Exchange: {exchange}, Seed: {seed}",
    ]


def cycle_start(number: int, cycles: int) -> list[str]:
    """Return the lines before a cycle."""
    return ["", f"=== Cycle {number}/{cycles} ==="]


def top(head: HeadName, ranked: Sequence[Organism]) -> str:
    """Return the best score of a generation in isolation."""
    best = ranked[0]
    genome = f"Emb:{best.genome.n_emb} L:{best.genome.n_layer}"
    return f"  {_tag(head)} Top Score: {score(best)} (Genome: {genome})"


def champions(best: Mapping[HeadName, Sequence[Organism]]) -> list[str]:
    """Return a line for the champion of each head that has one."""
    lines = []
    for head, organisms in best.items():
        for organism in organisms[:1]:
            value = f"{organism.worth:.2f} ({HEADS[head].quality})"
            lines.append(
                f"  {_tag(head)} Champion: {genes(organism.genome, lr_digits=4)} -> Score: {value}"
            )
    return lines


def gathering() -> list[str]:
    """Return the line of the exchange."""
    return ["", "  >> The Gathering: Genes exchanged. The organism learns from all heads."]


def cycle_end(
    alive: Sequence[Organism], archives: Mapping[HeadName, Archive], seconds: float
) -> list[str]:
    """Return the diversity of all heads after the exchange, the size of the archives, the time."""
    n_genomes = len({organism.genome for organism in alive})
    n_species = len({organism.genome.species for organism in alive})
    cells = ", ".join(f"{HEADS[head].title} {len(a.cells)}" for head, a in archives.items())
    return [
        f"  Alive: {n_genomes} genomes, {n_species} species of {len(alive)} organisms",
        f"  Archives: {cells} of {N_CELLS} cells",
        f">> Cycle Complete in {seconds:.1f}s",
    ]


def ascended(winners: Mapping[HeadName, Candidate]) -> list[str]:
    """Return the champion of each head, measured again, with some of its names."""
    lines = ["", "┌" + "─" * 16 + "┐", "│ Hydra Ascended │", "└" + "─" * 16 + "┘"]
    for head, winner in winners.items():
        lines += [
            f"{_tag(head)} Champion:",
            f"  Genome: {genes(winner.organism.genome)}",
            f"  Score:  {winner.describe(head)}",
            f"  Names:  {shown(winner.organism)}",
        ]
    return lines


def chosen(winner: Candidate, heads: Sequence[HeadName], head: HeadName | None) -> list[str]:
    """Return which genome wins, and why: all heads vote, unless one was picked."""
    why = f"the {HEADS[head].title}'s" if head else "smallest sum of places over all heads"
    scores = ", ".join(f"{HEADS[name].title} {winner.mean(name):.4f}" for name in heads)
    return ["", f">> Chosen ({why}): {genes(winner.organism.genome)} | {scores}"]


def _tag(head: HeadName) -> str:
    """Return the name of a head in brackets, as wide as the widest."""
    return f"[{HEADS[head].title}]".ljust(len("[Weaver]"))
