"""Loss and training time of the presets for names.

Trains each preset for names with several seeds on one core, with the same names held out: a tenth
for validation (A), another for the test (B). The held-out loss is measured 20 times, as in
`microgpt train --preset names-60s`. Prints the losses and the seconds, and writes
them to bench/results.

    uv run python bench/quality.py [--only names-60s] [--seeds 3] [--core 1]

Existing results are reused unless --again is given, so an interrupted run can be continued. 33
minutes on one core of an AMD EPYC (Zen 5).
"""

from dataclasses import dataclass
from functools import partial
from statistics import fmean
from time import perf_counter

from harness import TRAINING, parsed, show_progress, train_missing, trained
from tables import headed, mean_and_sd, runs_of

from microgpt import OnEvent, StopWhen, count_params
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.settings import preset_settings
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.planning import plan_training

NAMES = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
PRESET_NAMES = ("names-10s", "names-60s", "names-600s")


@dataclass
class Training:
    """Cost and losses of a training run, in nats per token."""

    params: int
    val_loss: float  # of the best weights on A
    test_loss: float  # of the same weights on B
    steps_s: float  # seconds for setup and steps, without compilation and evaluations

    def __str__(self) -> str:
        return f"A {self.val_loss:.4f}, B {self.test_loss:.4f}, {self.steps_s:.1f} s"


def main() -> None:
    """Run the missing training runs and print the table."""
    options = parsed(__doc__, only=PRESET_NAMES, **TRAINING)
    measures = {name: partial(measured, preset=name) for name in PRESET_NAMES}
    print(presets_table(train_missing("quality", measures, options)))


def measured(seed: int, label: str, *, preset: str) -> Training:
    """Train a preset, and return its cost and losses."""
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    given = {**preset_settings(preset), "seed": seed}
    asked = started = perf_counter()
    measuring_s = 0.0

    def should_stop() -> bool:
        """Record the time. This is the last callback before an evaluation."""
        nonlocal asked
        asked = perf_counter()
        return False

    def on_event(event: TrainEvent) -> None:
        nonlocal measuring_s
        if event.val_loss is not None:
            measuring_s += perf_counter() - asked
            show_progress(label, event.step, event.steps, event.val_loss)

    hooks = [OnEvent(on_event), StopWhen(should_stop)]
    result = trained(plan_training(NAMES, given), hooks)
    seconds = perf_counter() - started - measuring_s
    assert result.val_loss is not None
    assert result.test_loss is not None
    return Training(count_params(result.model), result.val_loss, result.test_loss, seconds)


def presets_table(kept: dict) -> str:
    """Return a table of the losses and times of each preset."""
    lines = []
    for name in PRESET_NAMES:
        if not (found := runs_of(kept, name)):
            continue
        lines.append([
            f"`{name}`",
            f"{found[0]['params']:,}",
            str(len(found)),
            mean_and_sd([each["val_loss"] for each in found]),
            f"**{mean_and_sd([each['test_loss'] for each in found])}**",
            f"{max(each['test_loss'] for each in found):.3f}",
            f"{fmean(each['steps_s'] for each in found):.1f}",
        ])  # fmt: skip
    head = ["", "weights", "seeds", "A", "B", "worst B", "seconds"]
    return headed(head, lines, kept)


TABLES = {"quality_presets": presets_table}

if __name__ == "__main__":
    main()
