"""Train the models of trainings.py in PyTorch through rivals/torch_quality.py."""

import json
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from time import perf_counter

import numpy as np
from train_speed import HERE
from trainings import NAMES, Training, show_progress

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.tokenizer import CharTokenizer
from microgpt.model_variants import init_variant, is_karpathys
from microgpt.training.weight_averaging import next_averaged_step

sys.path.insert(0, str(HERE / "rivals"))

from job import Course

SCRIPT = str(HERE / "rivals" / "torch_quality.py")


def measured_in_torch(
    model: ModelConfig, config: TrainConfig, label: str, *, python: str | None = None
) -> Training:
    """Train a model in PyTorch, and return its cost and losses.

    Args:
        python: path of an interpreter with PyTorch; by default, uv provides one.
    """
    course = course_of(model, config)
    command = [python, SCRIPT] if python else ["uv", "run", "--quiet", "--script", SCRIPT]
    points = []
    with tempfile.TemporaryDirectory() as folder:
        course.save(f"{folder}/course.npz")
        started = perf_counter()
        with subprocess.Popen(
            [*command, f"{folder}/course.npz"], stdout=subprocess.PIPE, text=True
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
        seconds=perf_counter() - started,
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
