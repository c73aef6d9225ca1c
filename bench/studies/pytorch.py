"""Does PyTorch reach the same loss with the same recipe, and how long does it take?

The same loss within the spread of the seeds, in seven times the time
(docs/measurements/quality.md).

    uv run python bench/study.py pytorch [--seeds 3] [--core 1] [--python PATH]

Trains a single model of names, with Karpathy's architecture and AdamW, in idiomatic PyTorch, with
the same steps and settings. The results are among those of quality.py. Downloads PyTorch, unless
--python names an interpreter with PyTorch.
"""

import json
import os
import random
import subprocess
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import accumulate
from statistics import fmean

import altair as alt
import numpy as np
from harness import BENCH, Run, results, script, seeds, show_progress
from quality import ADAMW_PRESET, NAMES, Training
from rivals.job import Course
from tables import processor, runs_of

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model_variants import init_variant, is_karpathys
from microgpt.training.weight_averaging import next_averaged_step
from microgpt_report.look import BLUE, GREY, ORANGE
from microgpt_report.theme import LOG

STORED, OPTIONS = "quality", {"python": str}
RIVAL = BENCH / "studies" / "rivals" / "torch_quality.py"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield the training runs."""
    measure = partial(measured_in_torch, python=options.python)
    for seed in seeds(options):
        config = replace(ADAMW_PRESET.config, seed=seed)
        yield Run("torch", ADAMW_PRESET.model, config, measure)


def measured_in_torch(
    model: ModelConfig, config: TrainConfig, label: str, *, python: str | None = None
) -> Training:
    """Train a model in PyTorch, and return its cost and losses.

    Args:
        python: path of an interpreter with PyTorch; by default, uv provides one.
    """
    course = course_of(model, config)
    paths = {"PYTHONPATH": str(BENCH / "rivals")}
    points = []
    with tempfile.TemporaryDirectory() as folder:
        course.save(f"{folder}/course.npz")
        command = script(RIVAL, f"{folder}/course.npz", python=python)
        with subprocess.Popen(
            command, env=os.environ | paths, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                points.append(json.loads(line))
                if "loss" in points[-1]:
                    show_progress(label, points[-1]["step"], config.steps, points[-1]["loss"])
    if process.returncode:
        raise SystemExit("PyTorch failed")
    *points, end = points
    return Training(
        params=sum(matrix.size for matrix in course.weights.values()),
        val_loss=min(point["loss"] for point in points),
        test_loss=end["test_loss"],
        steps_s=points[-1]["seconds"],
        curve=[(point["seconds"], point["loss"]) for point in points],
    )


def course_of(model: ModelConfig, config: TrainConfig) -> Course:
    """Return the description of a training run for a rival, with our initial weights."""
    tokenizer = CharTokenizer.from_documents(NAMES.docs)
    model = replace(model, vocab_size=tokenizer.vocab_size)
    train, held_out, test = (
        [tokenizer.encode_document(name) for name in part]
        for part in (NAMES.train, NAMES.validation, NAMES.test)
    )
    rng = random.Random(config.seed)
    rng.shuffle(train)
    return Course(
        n_head=model.n_head,
        n_layer=model.n_layer,
        block_size=model.block_size,
        vocab_size=model.vocab_size,
        batch_size=config.batch_size,
        steps=config.steps,
        docs=train,
        weights={
            name: np.array(rows, np.float32) for name, rows in init_variant(model, rng).items()
        },
        held_out=held_out,
        test=test,
        lrs=[float(config.lr_at(step)) for step in range(config.steps)],
        moments=moments_of(config),
        is_variant=not is_karpathys(model),
        optimizer=config.optimizer,
        measured_every=config.steps_between_evaluations,
        dropout=config.dropout,
        weight_decay=config.weight_decay,
        beta1=config.beta1,
        beta2=config.beta2,
        eps=config.adam_eps,
    )


def moments_of(config: TrainConfig) -> list[int]:
    """Return the steps after which the weights are added to the average."""
    moments = []
    while moment := next_averaged_step(moments[-1] if moments else 0, config):
        moments.append(moment)
    return moments


OURS, RIVAL = "microgpt", "PyTorch"
N_GRAM = 6  # order of the best n-gram model
# Label at the end of each curve, and its offset in pixels.
BESIDE = {
    "names-10s": ("names-10s", 0, 16),
    "names-60s": ("names-60s", 0, 16),
    "names-600s": ("names-600s", 0, -12),
    "names-60s with AdamW": ("one model with AdamW", 78, -8),
    "torch": ("the same in PyTorch", 62, -10),
}
COLOR = alt.Color(
    "contender:N", title=None, scale=alt.Scale(domain=[OURS, RIVAL], range=[ORANGE, BLUE])
)
X = alt.X(
    "seconds:Q",
    scale=alt.Scale(type="log", domain=[1, 1000]),
    axis=alt.Axis(values=[1, 2, 5, 10, 30, 60, 120, 300, 600]),
    title=f"training time in seconds, without compilation and evaluation{LOG}",
)
Y = alt.Y("loss:Q", scale=alt.Scale(domain=[1.89, 2.2]), title="held-out loss, nats per character")


def names_quality(found: dict, *_: dict) -> alt.LayerChart:
    """Return the chart of held-out loss against training time, with the end of each preset."""
    points = [point for name in BESIDE for point in curve(found, name)]
    curves = alt.Chart(alt.Data(values=points)).encode(x=X, y=Y, color=COLOR, detail="name:N")
    last = [end(found, name) for name in BESIDE if runs_of(found, name)]
    ends = alt.Chart(alt.Data(values=last)).encode(x=X, y=Y)
    names = [
        ends.transform_filter(f"datum.name == '{name}'").mark_text(
            text=text, dx=dx, dy=dy, fontSize=11
        )
        for name, (text, dx, dy) in BESIDE.items()
    ]
    (kneser_ney,) = results("kneser_ney")
    (counted,) = (each["val_loss"] for each in kneser_ney["orders"] if each["n"] == N_GRAM)
    counting = [{"loss": counted, "what": f"Kneser-Ney, {N_GRAM}-gram"}]
    line = alt.Chart(alt.Data(values=counting)).encode(y=Y)
    return alt.layer(
        line.mark_rule(color=GREY, strokeDash=[6, 4]),
        line.mark_text(dy=-8, align="left", color=GREY).encode(x=alt.datum(30), text="what:N"),
        curves.mark_line(strokeWidth=2.5, clip=True),
        ends.mark_point(filled=True, size=90, opacity=1).encode(color=COLOR),
        *names,
    ).properties(
        width=520, height=300, title=f"Presets for names on one core of an {processor(found)}"
    )


def curve(found: dict, name: str) -> list[dict]:
    """Return the points of a curve of the lowest loss so far, the mean over the seeds."""
    runs = [each["curve"] for each in runs_of(found, name)]
    seconds = zip(*([at for at, _ in run] for run in runs), strict=True)
    losses = zip(*(accumulate((loss for _, loss in run), min) for run in runs), strict=True)
    return [
        {**contender(name), "seconds": fmean(at), "loss": fmean(loss)}
        for at, loss in zip(seconds, losses, strict=True)
    ]


def end(found: dict, name: str) -> dict:
    """Return the end point of a preset: mean time and loss over the seeds."""
    runs = runs_of(found, name)
    return {
        **contender(name),
        "seconds": fmean(each["steps_s"] for each in runs),
        "loss": fmean(each["val_loss"] for each in runs),
    }


def contender(name: str) -> dict:
    """Return the chart fields that identify a preset and its contender."""
    return {"name": name, "contender": RIVAL if name == "torch" else OURS}


PICTURES = {"names_quality": names_quality}
