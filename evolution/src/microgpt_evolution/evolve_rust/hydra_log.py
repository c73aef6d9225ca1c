"""Log of a Hydra search, in evolve-rust's format."""

from collections.abc import Sequence

from microgpt_evolution.evolve_rust.aesthetic_log import genes, score, shown
from microgpt_evolution.evolve_rust.log import Log
from microgpt_evolution.objectives.hydra_heads import HEADS, HeadName
from microgpt_evolution.population import count_species
from microgpt_evolution.search.hydra_search import N_CELLS, Archive, Hydra
from microgpt_evolution.search.runner import SearchRunner
from microgpt_evolution.search.selection import Candidate, Winner, head_winners


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
            self._write(f"  {_tag(head)} Top Score: {score(best)} (Genome: {genome})")
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

    def ended(
        self, run: SearchRunner, candidates: Sequence[Candidate], winner: Winner | None
    ) -> None:
        """Write the champion of each head with its retest score, and the winner."""
        if not winner:
            return
        self._write("", "┌" + "─" * 16 + "┐", "│ Hydra Ascended │", "└" + "─" * 16 + "┘")
        for head, candidate in head_winners(self._search, candidates).items():
            self._write(
                f"{_tag(head)} Champion:",
                f"  Genome: {genes(candidate.organism.genome)}",
                f"  Score:  {candidate.describe(head)}",
                f"  Names:  {shown(candidate.organism)}",
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
