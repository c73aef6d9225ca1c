"""Log of an aesthetic search, in evolve-rust's format."""

from collections.abc import Sequence

from microgpt_evolution.evolve_rust.log import RETESTED, Log
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Organism
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.runner import SearchRunner
from microgpt_evolution.search.selection import Candidate, Winner

N_SHOWN = 5  # number of names shown per organism


class AestheticLog(Log):
    """The log of an aesthetic search."""

    heading = ("", "=== Generation {}/{} ===")

    def begun(self, run: SearchRunner) -> None:
        """Write the header."""
        settings = run.settings
        self._write(
            "--- Starting Aesthetic Evolution ---",
            f"Experiment: {run.evaluator.records.log}",
            f"Pop: {settings.population}, Gens: {settings.generations}, "
            f"Names per organism: {settings.samples}, Seed: {settings.seed}",
        )

    def generation_ended(self, run: SearchRunner) -> None:
        """Write each organism with some of its names, and the champion."""
        ranked = run.search.organisms
        for organism in sorted(ranked, key=lambda organism: organism.slot):
            self._write(
                f"Org {organism.slot}: [{genes(organism.genome)}] -> Score: {score(organism)}"
            )
            if names := shown(organism):
                self._write(f"    Sample: {names}")
        best = ranked[0]
        self._write(
            f"--- Generation Time: {self._seconds:.2f}s ---",
            f">> Gen {best.generation} Champion: [{genes(best.genome)}]",
            f">> Score: {score(best)}",
        )

    def ended(
        self, run: SearchRunner, candidates: Sequence[Candidate], winner: Winner | None
    ) -> None:
        """Write the retest scores of the finalists."""
        if not winner:
            return
        self._write("", RETESTED)
        for candidate in candidates:
            organism = candidate.organism
            mark = ">" if organism is winner.organism else " "
            where = f"[{genes(organism.genome)}] of generation {organism.generation}"
            self._write(f"{mark} {candidate.describe(JUDGE)} | {where}")


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
