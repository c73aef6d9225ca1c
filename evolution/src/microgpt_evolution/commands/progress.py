"""The progress of a study: share of its work, best results and time left; what goes wrong."""

from time import perf_counter

from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress_bar import ProgressBar, time_left
from microgpt_evolution.trial import Evaluation

N_REMARKS = 3  # maximum number of printed remarks; the study records all of them


class StudyProgress(ProgressBar):
    """Progress of a study; the time left follows from the work since it was begun or resumed."""

    def __init__(self) -> None:
        super().__init__("study, %", 100)
        self._remarks = set[str]()
        self._started = perf_counter()

    def update(self, work: float, work_left: float, figures: str, known: float = 0.0) -> None:
        """Show that work is done, of which some was known before, and estimate the time left."""
        speed = (work - known) / (perf_counter() - self._started)
        left = time_left(work_left, speed) if work_left else "done"
        done = round(100 * work / (work + work_left)) if work + work_left else 0
        self.show(done, left, f"study {done} % | {figures} | {left}", figures)

    def remark(self, kind: str, evaluation: Evaluation) -> None:
        """Print, once for each kind of trial, why it has no result, or what its result lacks."""
        key = f"{kind}: {'' if evaluation.is_ok else f'{evaluation.status}, '}"
        is_new = key not in self._remarks and len(self._remarks) < N_REMARKS
        if evaluation.reason and is_new:
            self._remarks.add(key)
            self.stop()  # the note is printed in place of the bar
            note(f"{key}{evaluation.reason}")
