"""Can a student predict better than its teachers, and than a single model for the same cost?

Yes: 1.913 on B, six teachers 1.940 each, a single model 1.942 (docs/measurements/quality.md).

    uv run python bench/study.py distillation [--seeds 3] [--core 1]

For each seed, trains six models with different seeds, and a student of the same shape that learns
from the mean of their predictions, on the training set and on names that the teachers generate. The
mean itself is also measured.
The single model takes more operations than the teachers and the student together. An hour on one
core.
"""

import hashlib
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np
from harness import Run, seeds
from quality import NAMES
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.chunked_dataset import scored
from microgpt.data.folding import char_tokenizer
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document
from microgpt.engine.compiled_model import CompiledModel
from microgpt.inference import InferenceGpt
from microgpt.state import TrainedModel
from microgpt.storage.model_directory import load, save
from microgpt.training.engines import prepare_engine
from microgpt.training.operations import evaluation_operations, step_operations
from microgpt.training.presets import PRESETS, Preset
from microgpt.training.train import train

TEACHER = replace(
    PRESETS["names-10s"],
    model=replace(PRESETS["names-10s"].model, n_embd=64, n_layer=3),
    config=replace(PRESETS["names-10s"].config, steps=9_000, warmup_steps=180, dropout=0.1),
)
# A deep, narrow model, and averaging over half of the steps, which reduce overfitting.
SINGLE = Preset(
    ModelConfig(n_embd=64, n_layer=6, n_ff_exp=2),
    TrainConfig(
        steps=150_000, batch_size=64, lr=0.006, dropout=0.15, weight_decay=0.1, average_tail=0.5
    ),
)
N_SAMPLES = 150_000  # number of names that the teachers make up
STUDENT = replace(TEACHER.config, steps=18_000, warmup_steps=360, dropout=0.0, weight_decay=0.0)
LENGTH = sum(len(name) + 1 for name in NAMES.train) / len(NAMES.train)  # predictions per name
N_TEACHERS = 6
MODELS = Path(tempfile.gettempdir(), "microgpt-distillation")  # the trained models


@dataclass
class Losses:
    """Losses in nats per token, and the operations, without evaluations."""

    val_loss: float
    test_loss: float
    operations: float

    def __str__(self) -> str:
        return f"A {self.val_loss:.4f}, B {self.test_loss:.4f}"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield the teachers, their mean, the student and the single model of each seed."""
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    if options.again:
        shutil.rmtree(MODELS, ignore_errors=True)
    for seed in seeds(options):
        for i in range(N_TEACHERS):
            config = replace(TEACHER.config, seed=100 * seed + i)
            yield Run("teacher", TEACHER.model, config, teacher)
        yield Run("mean", TEACHER.model, replace(TEACHER.config, seed=seed), mean)
        yield Run("student", TEACHER.model, replace(STUDENT, seed=seed), student)
        yield Run("single", SINGLE.model, replace(SINGLE.config, seed=seed), single)


def teacher(model: ModelConfig, config: TrainConfig, label: str) -> Losses:
    """Train a teacher."""
    found = trained(model, config)
    return Losses(*losses(found), operations(model, config))


def student(model: ModelConfig, config: TrainConfig, label: str) -> Losses:
    """Train a student of the six teachers of a seed."""
    models = teachers(config.seed)
    result = train(NAMES, model=model, config=config, teachers=models, teacher_samples=N_SAMPLES)
    teaching = evaluation_operations(
        models[0].model, LENGTH, (len(NAMES.train) + N_SAMPLES) * LENGTH
    )
    of_teachers = N_TEACHERS * (operations(TEACHER.model, TEACHER.config) + teaching)
    return Losses(*losses(result), operations(model, config) + of_teachers)


def mean(model: ModelConfig, config: TrainConfig, label: str) -> Losses:
    """Score the mean of the predictions of the six teachers of a seed."""
    models = teachers(config.seed)
    val_loss, test_loss = (mean_loss(models, docs) for docs in (NAMES.validation, NAMES.test))
    return Losses(val_loss, test_loss, N_TEACHERS * operations(model, config))


def single(model: ModelConfig, config: TrainConfig, label: str) -> Losses:
    """Train the single model."""
    return Losses(*losses(trained(model, config)), operations(model, config))


def teachers(seed: int) -> list[TrainedModel]:
    """Return the six teachers of a seed."""
    configs = [replace(TEACHER.config, seed=100 * seed + i) for i in range(N_TEACHERS)]
    return [trained(TEACHER.model, config) for config in configs]


def trained(model: ModelConfig, config: TrainConfig) -> TrainedModel:
    """Train a model, unless it is in MODELS."""
    directory = MODELS / hashlib.sha256(repr((model, config)).encode()).hexdigest()[:16]
    if not directory.exists():
        save(train(NAMES, model=model, config=config), directory)
    return load(directory)


def losses(model: TrainedModel) -> tuple[float, float]:
    """Return the losses of a model on A and B, in nats per token."""
    gpt = InferenceGpt(model)
    return gpt.evaluate(NAMES.validation).loss, gpt.evaluate(NAMES.test).loss


def operations(model: ModelConfig, config: TrainConfig) -> float:
    """Return the operations of all steps."""
    n_tokens = char_tokenizer(NAMES.docs).vocab_size
    return config.steps * step_operations(replace(model, vocab_size=n_tokens), config, LENGTH)


def mean_loss(models: list[TrainedModel], docs: list[Document]) -> float:
    """Return the loss of the mean of the probabilities, in nats per token."""
    first, dataset = models[0], TokenDataset()
    for doc in scored(
        docs, first.tokenizer, first.model.block_size, loss_on="assistant", text="lines"
    ):
        for chunk in doc:
            dataset.append(*chunk)
    n = len(dataset.tokens) - len(dataset)
    mean = np.zeros((n, first.tokenizer.vocab_size), np.float32)
    for each in models:
        compiled = CompiledModel(each.model, each.weights, each.dtype)
        compiled.add_probabilities(dataset, mean, share=1 / len(models))
    targets = np.concatenate([dataset.tokens[a + 1 : b] for a, b in pairwise(dataset.starts)])
    return float(-np.log(mean[np.arange(n), targets]).mean())


TITLES = {
    "teacher": "a teacher",
    "mean": f"mean of the predictions of {N_TEACHERS} teachers",
    "student": "a student of them, of a teacher's size",
    "single": "a single model of 201,088 weights",
}


def distillation_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses and the total cost of each kind of model."""
    lines = []
    for name, title in TITLES.items():
        if found := runs_of(kept, name):
            keys = ("val_loss", "test_loss", "operations")
            val, test, operations = ([each[key] for each in found] for key in keys)
            cost = f"{fmean(operations):.2g}".replace("e+", "e")
            lines.append([title, mean_and_sd(val), f"**{mean_and_sd(test)}**", cost])
    return headed(["model", "A", "B", "operations in all"], lines, kept)


TABLES = {"distillation": distillation_table}
