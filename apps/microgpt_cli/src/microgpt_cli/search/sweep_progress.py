"""Progress of a sweep on stderr."""

from time import perf_counter

from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import ProgressBar, time_left
from microgpt_evolution.sweep.config import SweepConfig, differing
from microgpt_evolution.sweep.records import SweepResult


class SweepProgress(ProgressBar):
    """Trainings done; the time left goes by the operations that each takes."""

    def __init__(self, todo: dict[tuple[SweepConfig, int], int]) -> None:
        """Begin with the operations of each training that is to be made."""
        super().__init__("training", len(todo))
        self._todo, self._flops_left, self._flops_done = todo, sum(todo.values()), 0
        self._names = differing(config for config, _ in todo)
        self._told: set[tuple[SweepConfig, str | None]] = set()
        self._started = perf_counter()
        self._show()

    def update(self, result: SweepResult) -> None:
        """Show that a training has ended; say why, once per configuration, if not well."""
        flops = self._todo[result.config, result.seed]
        self._flops_left -= flops
        if result.is_ok:
            self._flops_done += flops
        elif (result.config, result.reason) not in self._told:
            self._told.add((result.config, result.reason))
            self.stop()
            which = result.config.describe(self._names) or "it"
            note(f"{which}: {result.status}, {result.reason}")
        self._show(1)

    def _show(self, n_more: int = 0) -> None:
        done = self._done + n_more
        rate = self._flops_done / (perf_counter() - self._started)
        left = time_left(self._flops_left, rate) if self._flops_left else "done"
        self.show(done, left, f"training {done} / {self._total} | {left}")
