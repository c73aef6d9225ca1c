"""Base class of the logs of all searches, in evolve-rust's format."""

from collections.abc import Callable, Sequence
from time import perf_counter

from microgpt_evolution import confidence_interval
from microgpt_evolution.organism import Evaluation, Organism
from microgpt_evolution.search.retest import N_REPEATS, Retest
from microgpt_evolution.search.runner import Listener, SearchRunner

RETESTED = f"--- Finalists Retested (Search and {N_REPEATS} Fresh Seeds) ---"


class Log(Listener):
    """Writes lines, and records when the search and its current cycle began."""

    heading: Sequence[str]  # lines above a cycle, with places for its number and that of the last

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write_line = write
        self._started = self._cycle_started = perf_counter()

    def generation_begun(self, run: SearchRunner) -> None:
        """Write the heading at the beginning of a cycle."""
        n_cycles, is_within = divmod(run.search.generation - 1, run.settings.cycle)
        if not is_within:
            self._cycle_started = perf_counter()
            last = run.settings.generations
            self._write(*(line.format(n_cycles + 1, last) for line in self.heading))

    def _write(self, *lines: str) -> None:
        for line in lines:
            self._write_line(line)

    @property
    def _seconds(self) -> float:
        return perf_counter() - self._cycle_started


def genome_written(path: str, generation: int) -> list[str]:
    """Return the lines logged after the winner's genome is written."""
    return [
        "",
        "--- Genome Written ---",
        f"  Saved to {path} (generation {generation})",
        "  The organism has evolved.",
    ]


def demo(names: Sequence[str], last_loss: float) -> list[str]:
    """Return lines with samples and the loss of the retrained winner."""
    samples = [f"> {name}" for name in names]
    return ["", "--- Final Demo with Best Config ---", *samples, f"Final loss: {last_loss:.4f}"]


def retest_table(found: Evaluation, retest: Retest) -> list[str]:
    """Return a table of the winner's measurements in the search and in the retest."""
    rows: list[tuple[str, float | None, Sequence[float]]] = [
        ("Last document", found.last_loss, retest.last_losses),
        ("Held out", found.val_loss, retest.val_losses),
        ("Test", None, retest.test_losses),
    ]
    if found.scores and retest.scores:
        rows += [
            (f"{measure.title()} (score)", score, [v.scores[measure] for v in retest.scores])
            for measure, score in found.scores.scores.items()
        ]
    width = max(len(name) for name, _, _ in rows)
    return [
        "",
        "--- Winner Retested With Fresh Seeds ---",
        f"  {'':<{width}}  {'Search':>8}  Retest",
        *(
            f"  {name:<{width}}  {number(value):>8}  {confidence_interval.describe(again)}"
            for name, value, again in rows
        ),
    ]


def saved(log: str) -> list[str]:
    """Return the last lines of the log."""
    return ["", f"Experiment saved to: {log}"]


def number(loss: float | None) -> str:
    """Format a loss with four decimal places; None becomes "none"."""
    return "none" if loss is None else f"{loss:.4f}"


def outcome(organism: Organism) -> str:
    """Format the loss or the score of an organism, or its status if it has none."""
    if organism.has_finished:
        return number(organism.worth)
    status = organism.evaluation.status if organism.evaluation else "not evaluated"
    return "diverged" if status == "ok" else status
