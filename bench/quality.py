"""Loss and training time of the presets for names.

Trains each preset for names with several seeds on one core, with the same names held out: a tenth
for validation (A), another for the test (B). The held-out loss is measured 20 times, as in
`microgpt train --preset names-60s`. Times are reported with and without these evaluations. A single
model with Karpathy's architecture and AdamW is also trained for a minute; `study.py pytorch` trains
the same model in PyTorch. Prints the losses and the seconds, and writes them and the loss curve of
each training run to bench/results.

    uv run python bench/quality.py [--only names-60s] [--seeds 5] [--core 1]

Existing results are reused unless their settings have changed or --again is given, so an
interrupted run can be continued. 33 minutes on one core of an AMD EPYC (Zen 5).
"""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from time import perf_counter

from harness import TRAINING, Run, parsed, seeds, show_progress, train_missing
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.model_config import count_params
from microgpt.options import join
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.ensemble_training import train_job
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training
from microgpt.training.presets import PRESETS, Preset, PresetName

NAMES = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
# a single model with Karpathy's architecture and AdamW
ADAMW_PRESET = Preset(
    ModelConfig(n_embd=64, n_layer=3),
    TrainConfig(
        steps=19_000, batch_size=64, lr=0.006, dropout=0.1, weight_decay=0.1, average_tail=0.3
    ),
)
ABLATED = "names-60s with AdamW"  # also trained in PyTorch
SEEDS = {"names-10s": 5, "names-60s": 5, "names-600s": 3, ABLATED: 5}
TITLES = {
    "names-10s": "`names-10s`",
    "names-60s": "`names-60s`",
    "names-600s": "`names-600s`",
    ABLATED: "one model with AdamW",
    "torch": "the same in PyTorch",
}


@dataclass
class Training:
    """Cost and losses of a training run.

    Attributes:
        val_loss: loss of the best weights on A, in nats per token.
        test_loss: loss of the same weights on B, in nats per token.
        steps_s: seconds for setup and steps, without compilation and evaluations.
        curve: for each evaluation, the seconds for setup and steps so far and the loss on A.
    """

    params: int
    val_loss: float
    test_loss: float
    steps_s: float
    curve: list[tuple[float, float]]

    def __str__(self) -> str:
        return f"A {self.val_loss:.4f}, B {self.test_loss:.4f}, {self.steps_s:.1f} s"


def main() -> None:
    """Run the missing training runs and print the table."""
    options = parsed(__doc__, only=SEEDS, **TRAINING)
    print(presets_table(train_missing("quality", runs(options), options)))


def runs(options: Namespace) -> Iterator[Run]:
    """Yield each preset with each seed."""
    for name, n_seeds in SEEDS.items():
        preset = ADAMW_PRESET if name == ABLATED else PRESETS[name]
        for seed in seeds(options, n_seeds):
            measure = partial(measured, name=None if name == ABLATED else name)
            yield Run(name, preset.model, replace(preset.config, seed=seed), measure)


@dataclass
class Stopwatch:
    """Times the steps and the evaluations of a training run separately."""

    label: str
    curve: list[tuple[float, float]] = field(default_factory=list)
    started: float = field(default_factory=perf_counter)
    asked: float = 0.0
    measuring_s: float = 0.0

    def should_stop(self) -> bool:
        """Record the time. This is the last callback before an evaluation."""
        self.asked = perf_counter()
        return False

    def on_event(self, event: TrainEvent) -> None:
        """Record a point of the loss curve if the event has a held-out loss."""
        if event.val_loss is None:
            return
        now = perf_counter()
        self.measuring_s += now - self.asked
        self.curve.append((now - self.started - self.measuring_s, event.val_loss))
        show_progress(self.label, event.step, event.steps, event.val_loss)


def measured(
    model: ModelConfig, config: TrainConfig, label: str, *, name: PresetName | None = None
) -> Training:
    """Train a preset, or a model with these settings, and return its cost and losses."""
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    watch = Stopwatch(label)
    if name:
        options = join(TrainOptions.of_preset(name), TrainOptions(preset=name, seed=config.seed))
        job = plan_training(NAMES, options)
    else:
        job = plan_training(NAMES, TrainOptions(), model=model, config=config)
    result = train_job(job, on_event=watch.on_event, should_stop=watch.should_stop)
    assert result.val_loss is not None
    assert result.test_loss is not None
    return Training(
        params=count_params(result.model),
        val_loss=result.val_loss,
        test_loss=result.test_loss,
        steps_s=watch.curve[-1][0],
        curve=watch.curve,
    )


def presets_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses and times of each preset."""
    lines = []
    for name, title in TITLES.items():
        found = runs_of(kept, name)
        if not found:
            continue
        lines.append([
            title,
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
