"""The teachers of a training run: `microgpt train --teacher`."""

import hashlib
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from microgpt.config import TextKind, Use
from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.errors import ConfigError
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.state import TeacherRecord, TrainingPlan
from microgpt.storage.model_directory import SavedModel
from microgpt.training.distillation import Teachers
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import load_kernels, with_progress

N_TIMED = 10_000  # number of tokens to predict, to estimate the time for all of them


class SavedTeachers(Teachers):
    """Teachers that are loaded from directories."""

    models: Sequence[SavedModel]

    def __init__(self, directories: Sequence[Path], n_samples: int) -> None:
        models = [load_model(directory) for directory in directories]
        super().__init__(models, n_samples, [*map(str, directories)], with_progress)

    @property
    def text(self) -> TextKind:
        """The kind of text that the teachers were trained on."""
        return self.models[0].text

    @property
    def records(self) -> tuple[TeacherRecord, ...]:
        """What is recorded of the teachers."""
        return tuple(
            TeacherRecord(path_to_text(os.path.abspath(directory)), _sha256(saved))
            for directory, saved in zip(self.names, self.models, strict=True)
        )

    def load_kernels(self) -> float:
        """Load the kernels that the teachers use; return the seconds of their compilation."""
        uses: list[Use] = ["evaluation"]
        uses += ["generation"] if self.n_samples else []
        return load_kernels("compiled", *sorted({each.dtype for each in self.models}), uses=uses)

    def estimated_seconds(self, chunks: ChunkedDataset, plan: TrainingPlan, threads: int) -> float:
        """Estimate the time of `prepare`, by preparing a part of the dataset."""
        config, seconds = plan.config, 0.0
        n_read = min(len(chunks) + self.n_samples, config.steps * config.batch_size)
        n_timed = max(2, min(n_read, N_TIMED // plan.model.block_size))
        for n in (1, n_timed):  # the first time, the weights are converted
            started, part = perf_counter(), replace(config, steps=1, batch_size=n)
            self.dataset(chunks, replace(plan, config=part), random.Random(config.seed), threads)
            seconds = perf_counter() - started
        return seconds * n_read / n_timed

    def prepare(self, chunks: ChunkedDataset, plan: TrainingPlan, threads: int) -> None:
        """Prepare the dataset of a training run, with a note and progress."""
        n, made_up = len(self.models), f"; they also make up {self.n_samples:,} documents"
        note(
            f"the targets are the predictions of {f'{n} teachers' if n > 1 else 'a teacher'}"
            f"{made_up if self.n_samples else ''}"
        )
        self.dataset(chunks, plan, random.Random(plan.config.seed), threads)


def recorded_teachers(
    plan: TrainingPlan, given: Mapping[str, Any]
) -> tuple[TrainingPlan, SavedTeachers | None]:
    """Return the plan of a recorded run with the directories of its teachers, and the teachers.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher is missing, or another model is in its directory.
    """
    recorded = plan.teachers
    directories = given.get("teacher") or [path_from_text(each.directory) for each in recorded]
    remedy = "pass the directories of the teachers, in their order, with --teacher"
    if len(directories) != len(recorded):
        remedy = remedy if recorded else "omit --teacher"
        raise ConfigError(f"the run has {len(recorded)} teachers, not {len(directories)}; {remedy}")
    if not recorded:
        return plan, None
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigError(f"the teacher {directory} does not exist; {remedy}")
    teachers = SavedTeachers(directories, plan.teacher_samples)
    for directory, found, expected in zip(directories, teachers.records, recorded, strict=True):
        sha256, wanted = found.weights_sha256, expected.weights_sha256
        if sha256 != wanted:
            raise ConfigError(
                f"the model in {directory} is not the teacher of the run: the sha256 of its "
                f"weights is {sha256[:12]}…, not {wanted[:12]}…; {remedy}"
            )
    return replace(plan, teachers=teachers.records), teachers


def _sha256(saved: SavedModel) -> str:
    """Return the hash of the weights, which models of other programs lack in meta.json."""
    return saved.meta.weights_sha256 or hashlib.sha256(repr(saved.weights).encode()).hexdigest()
