"""Train models and store the results for quality.py, ablation.py and text_quality.py.

One tenth of the names is the validation set (A), and another tenth is the test set (B).
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

from filelock import FileLock
from train_speed import machine, results_file

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.model import count_params
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.presets import Preset
from microgpt.training.train import train

FIRST_SEED = 42
# names-60s with Karpathy's architecture and AdamW
ADAMW_PRESET = Preset(
    ModelConfig(n_embd=64, n_layer=3),
    TrainConfig(
        steps=19_000, batch_size=64, lr=0.006, dropout=0.1, weight_decay=0.1, average_tail=0.3
    ),
)
NAMES = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)


@dataclass
class Training:
    """Cost and losses of a training run.

    Attributes:
        val_loss: loss of the best weights on A, in nats per token.
        test_loss: loss of the same weights on B, in nats per token.
        steps_s: seconds for setup and steps, without compilation and evaluations.
        seconds: seconds for setup, steps and evaluations, without compilation.
        curve: for each evaluation, the seconds for setup and steps so far and the loss on A.
    """

    params: int
    val_loss: float
    test_loss: float
    steps_s: float
    seconds: float
    curve: list[tuple[float, float]]

    def __str__(self) -> str:
        return (
            f"A {self.val_loss:.4f}, B {self.test_loss:.4f}, {self.steps_s:.1f} s, "
            f"{self.seconds:.1f} s with evaluation"
        )


class Results:
    """The stored training results of this machine, identified by name and seed."""

    def __init__(self, bench: str, *, again: bool = False) -> None:
        """Open the results of a benchmark. If `again` is true, existing results are replaced."""
        self._again = again
        self._path = results_file(bench)
        self._lock = FileLock(Path(tempfile.gettempdir(), f"microgpt-bench-{bench}.lock"))

    @property
    def kept(self) -> dict[str, Any]:
        """All stored results, with the machine and date."""
        trainings = json.loads(self._path.read_text()) if self._path.exists() else {"trainings": []}
        return {**trainings, "machine": f"{machine()}, float32", "date": str(date.today())}

    def add(
        self,
        name: str,
        model: ModelConfig,
        config: TrainConfig,
        measure: Callable[[ModelConfig, TrainConfig, str], Any],
    ) -> None:
        """Train and store the result, unless a result with the same settings exists."""
        settings = {**changed(model), **changed(config)}
        key = {"name": name, "seed": config.seed, "settings": settings}
        if not self._again and any(key.items() <= each.items() for each in self.kept["trainings"]):
            return
        label = f"{name}, seed {config.seed}"
        found = measure(model, config, label)
        print(f"{label}: {found}", flush=True)
        with self._lock:  # other benchmarks may run concurrently
            kept = self.kept
            others = [
                each
                for each in kept["trainings"]
                if (each["name"], each["seed"]) != (name, config.seed)
            ]
            kept["trainings"] = sorted(
                [*others, {**key, **vars(found)}], key=lambda each: (each["name"], each["seed"])
            )
            self._path.write_text(json.dumps(kept) + "\n")


def changed(settings: ModelConfig | TrainConfig) -> dict[str, Any]:
    """Return the settings that differ from the defaults, except the seed."""
    return {
        each.name: getattr(settings, each.name)
        for each in fields(settings)
        if each.name != "seed" and getattr(settings, each.name) != each.default
    }


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


def measured(model: ModelConfig, config: TrainConfig, label: str) -> Training:
    """Train a model with microgpt, and return its cost and losses."""
    prepare_engine("compiled", uses=("training", "evaluation"))
    watch = Stopwatch(label)
    result = train(
        NAMES, model=model, config=config, on_event=watch.on_event, should_stop=watch.should_stop
    )
    assert result.val_loss is not None
    assert result.test_loss is not None
    return Training(
        params=count_params(result.model),
        val_loss=result.val_loss,
        test_loss=result.test_loss,
        steps_s=watch.curve[-1][0],
        seconds=result.seconds,
        curve=watch.curve,
    )


def show_progress(label: str, step: int, steps: int, loss: float) -> None:
    """Show the progress of a training run on stderr; a terminal shows one updated line."""
    is_terminal = sys.stderr.isatty()
    line = f"{label}: step {step:,} of {steps:,}, A {loss:.4f}"
    end = "\n" if step >= steps or not is_terminal else "\r"
    print(line, end=end, file=sys.stderr, flush=True)


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add and parse the common options of benchmarks, and pin the process to one core."""
    parser.add_argument("--seeds", type=int, help="training runs per configuration")
    parser.add_argument("--core", type=int, help="CPU core to run on")
    parser.add_argument("--again", action="store_true", help="repeat stored results")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores) if options.core is None else options.core})
    return options
