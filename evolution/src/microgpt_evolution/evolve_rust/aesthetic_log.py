"""Logs of an aesthetic search and of a Hydra search, in evolve-rust's format."""

from microgpt_evolution.evolve_rust.log import RETESTED, Log, outcome
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import HEADS, HeadName, first_names
from microgpt_evolution.organism import count_species
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.hydra_search import N_CELLS, Archive, Hydra
from microgpt_evolution.search.retest import Candidates, Winner, head_winners
from microgpt_evolution.search.runner import SearchRunner


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
            slot, shape = organism.slot, genes(organism.genome)
            self._write(f"Org {slot}: [{shape}] -> Score: {outcome(organism)}")
            if (evaluation := organism.evaluation) and evaluation.samples:
                self._write(f"    Sample: {first_names(evaluation.samples)}")
        best = ranked[0]
        self._write(
            f"--- Generation Time: {self._seconds:.2f}s ---",
            f">> Gen {best.generation} Champion: [{genes(best.genome)}]",
            f">> Score: {outcome(best)}",
        )

    def ended(self, run: SearchRunner, candidates: Candidates, winner: Winner | None) -> None:
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


class HydraLog(Log):
    """The log of a Hydra search."""

    heading = ("", "=== Cycle {}/{} ===")

    def begun(self, run: SearchRunner) -> None:
        """Write the header."""
        assert isinstance(run.search, Hydra)
        self._search, settings = run.search, run.settings
        self._archives = {name: Archive() for name in self._search.heads}
        self._write(
            f"Hydra Evolution (v3) — {len(settings.heads)} Heads, {settings.generations} Cycles, "
            "Parallel Execution",
            "━" * 58,
            '  "We think, therefore we are"',
            f"  Experiment: {run.evaluator.records.log}",
            f"  Exchange: {settings.exchange}, Seed: {settings.seed}",
        )

    def generation_ended(self, run: SearchRunner) -> None:
        """Write the best score of each head; at the end of a cycle, also the exchange."""
        for head, population in self._search.heads.items():
            ranked = population.generations[-1]
            best = ranked[0]
            genome = f"Emb:{best.genome.n_emb} L:{best.genome.n_layer}"
            self._write(f"  {_tag(head)} Top Score: {outcome(best)} (Genome: {genome})")
            for organism in ranked:
                n_params = run.evaluator.objective.n_params(organism.genome)
                self._archives[head].add(organism, n_params=n_params)
        if self._search.has_exchanged:
            self._cycle_ended()

    def _cycle_ended(self) -> None:
        """Write the champions, the diversity, the archive sizes and the duration of a cycle."""
        for head, champions in self._search.met.items():
            if champions:
                best = champions[0]
                self._write(
                    f"  {_tag(head)} Champion: {genes(best.genome, lr_digits=4)} -> "
                    f"Score: {best.worth:.2f} ({HEADS[head].quality})"
                )
        alive = self._search.organisms
        n_genomes, n_species = len({o.genome for o in alive}), len(count_species(alive))
        cells = (f"{HEADS[head].title} {len(a.cells)}" for head, a in self._archives.items())
        self._write(
            "",
            "  >> The Gathering: Genes exchanged. The organism learns from all heads.",
            f"  Alive: {n_genomes} genomes, {n_species} species of {len(alive)} organisms",
            f"  Archives: {', '.join(cells)} of {N_CELLS} cells",
            f">> Cycle Complete in {self._seconds:.1f}s",
        )

    def ended(self, run: SearchRunner, candidates: Candidates, winner: Winner | None) -> None:
        """Write the champion of each head with its retest score, and the winner."""
        if not winner:
            return
        self._write("", "┌" + "─" * 16 + "┐", "│ Hydra Ascended │", "└" + "─" * 16 + "┘")
        for head, candidate in head_winners(self._search, candidates).items():
            assert candidate.organism.evaluation
            self._write(
                f"{_tag(head)} Champion:",
                f"  Genome: {genes(candidate.organism.genome)}",
                f"  Score:  {candidate.describe(head)}",
                f"  Names:  {first_names(candidate.organism.evaluation.samples)}",
            )
        chosen = next(c for c in candidates if c.organism is winner.organism)
        why = "lowest sum of ranks over all heads"
        if winner.head:
            why = f"champion of the {HEADS[winner.head].title}"
        means = [f"{HEADS[head].title} {chosen.mean(head):.4f}" for head in self._search.heads]
        self._write("", f">> Chosen ({why}): {genes(winner.organism.genome)} | {', '.join(means)}")


def _tag(head: HeadName) -> str:
    """Return the title of a head in brackets, padded to the width of the longest title."""
    return f"[{HEADS[head].title}]".ljust(len("[Weaver]"))
