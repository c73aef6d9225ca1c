"""Log of a Hydra search, in evolve-rust's format."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from microgpt_evolution.evolve_rust.aesthetic_log import genes, score, shown
from microgpt_evolution.objectives.hydra_heads import HEADS, HeadName
from microgpt_evolution.population import Organism, count_species
from microgpt_evolution.search.archive import N_CELLS, Archive
from microgpt_evolution.search.selection import Candidate
from microgpt_evolution.search.settings import SearchSettings


def header(settings: SearchSettings, log: Path) -> list[str]:
    """Return the header lines of the log."""
    cycles = settings.generations
    return [
        f"Hydra Evolution (v3) — {len(settings.heads)} Heads, {cycles} Cycles, Parallel Execution",
        "━" * 58,
        '  "We think, therefore we are"',
        f"  Experiment: {log}",
        f"  Exchange: {settings.exchange}, Seed: {settings.seed}",
    ]


def cycle_start(number: int, cycles: int) -> list[str]:
    """Return the lines logged before a cycle."""
    return ["", f"=== Cycle {number}/{cycles} ==="]


def top(head: HeadName, ranked: Sequence[Organism]) -> str:
    """Return the line with the best score of a head after a generation."""
    best = ranked[0]
    genome = f"Emb:{best.genome.n_emb} L:{best.genome.n_layer}"
    return f"  {_tag(head)} Top Score: {score(best)} (Genome: {genome})"


def champions(best: Mapping[HeadName, Sequence[Organism]]) -> list[str]:
    """Return one line per head that has a champion."""
    return [
        f"  {_tag(head)} Champion: {genes(organisms[0].genome, lr_digits=4)} -> "
        f"Score: {organisms[0].worth:.2f} ({HEADS[head].quality})"
        for head, organisms in best.items()
        if organisms
    ]


def gathering() -> list[str]:
    """Return the lines logged when the heads exchange genomes."""
    return ["", "  >> The Gathering: Genes exchanged. The organism learns from all heads."]


def cycle_end(
    alive: Sequence[Organism], archives: Mapping[HeadName, Archive], seconds: float
) -> list[str]:
    """Return lines with the diversity, the archive sizes and the duration of a cycle."""
    n_genomes, n_species = len({o.genome for o in alive}), len(count_species(alive))
    cells = ", ".join(f"{HEADS[head].title} {len(a.cells)}" for head, a in archives.items())
    return [
        f"  Alive: {n_genomes} genomes, {n_species} species of {len(alive)} organisms",
        f"  Archives: {cells} of {N_CELLS} cells",
        f">> Cycle Complete in {seconds:.1f}s",
    ]


def ascended(winners: Mapping[HeadName, Candidate]) -> list[str]:
    """Return lines with the champion of each head, its retest score and some of its names."""
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
    """Return lines with the winning genome and the rule that selected it."""
    why = f"champion of the {HEADS[head].title}" if head else "lowest sum of ranks over all heads"
    scores = ", ".join(f"{HEADS[name].title} {winner.mean(name):.4f}" for name in heads)
    return ["", f">> Chosen ({why}): {genes(winner.organism.genome)} | {scores}"]


def _tag(head: HeadName) -> str:
    """Return the title of a head in brackets, padded to the width of the longest title."""
    return f"[{HEADS[head].title}]".ljust(len("[Weaver]"))
