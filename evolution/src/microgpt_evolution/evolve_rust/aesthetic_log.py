"""Log of an aesthetic search, in evolve-rust's format."""

from collections.abc import Sequence
from pathlib import Path

from microgpt_evolution.evolve_rust.loss_log_end import RETESTED
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Organism
from microgpt_evolution.search.selection import Candidate
from microgpt_evolution.search.settings import SearchSettings

N_SHOWN = 5  # number of names shown per organism


def header(settings: SearchSettings, log: Path) -> list[str]:
    """Return the header lines of the log."""
    return [
        "--- Starting Aesthetic Evolution ---",
        f"Experiment: {log}",
        f"Pop: {settings.population}, Gens: {settings.generations}, "
        f"Names per organism: {settings.samples}, Seed: {settings.seed}",
    ]


def generation_start(number: int, generations: int) -> list[str]:
    """Return the lines logged before a generation is evaluated."""
    return ["", f"=== Generation {number}/{generations} ==="]


def organism(organism: Organism) -> list[str]:
    """Return lines with the score of an organism and some of its names."""
    lines = [f"Org {organism.slot}: [{genes(organism.genome)}] -> Score: {score(organism)}"]
    if names := shown(organism):
        lines.append(f"    Sample: {names}")
    return lines


def generation_end(ranked: Sequence[Organism], seconds: float) -> list[str]:
    """Return the lines logged at the end of a generation."""
    return [
        f"--- Generation Time: {seconds:.2f}s ---",
        f">> Gen {ranked[0].generation} Champion: [{genes(ranked[0].genome)}]",
        f">> Score: {score(ranked[0])}",
    ]


def finalists(candidates: Sequence[Candidate], winner: Organism, measure: str) -> list[str]:
    """Return lines with the retest scores of the finalists."""
    return ["", RETESTED] + [
        f"{'>' if candidate.organism is winner else ' '} {candidate.describe(measure)} | "
        f"[{genes(candidate.organism.genome)}] of generation {candidate.organism.generation}"
        for candidate in candidates
    ]


def genes(genome: Genome, lr_digits: int = 5) -> str:
    """Format the four genes that the aesthetic search evolves."""
    shape = f"Emb:{genome.n_emb} Head:{genome.n_head} Lay:{genome.n_layer}"
    return f"{shape} LR:{genome.lr:.{lr_digits}f}"


def score(organism: Organism) -> str:
    """Format the score of an organism, or its status if it has no score."""
    if organism.has_finished:
        return f"{organism.worth:.4f}"
    return organism.evaluation.status if organism.evaluation else "not evaluated"


def shown(organism: Organism) -> str:
    """Return the first names of an organism, separated by commas; an empty name is shown as ''."""
    samples = organism.evaluation.samples if organism.evaluation else ()
    return ", ".join(name or "''" for name in samples[:N_SHOWN])
