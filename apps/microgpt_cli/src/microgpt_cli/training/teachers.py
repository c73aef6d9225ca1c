"""The teachers of a training run, from directories: `microgpt train --teacher`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microgpt.errors import ConfigError
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.state import TeacherRecord, TrainingPlan
from microgpt.training.distillation import Teachers
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.progress import with_progress


def load_teachers(
    directories: Sequence[Path], n_samples: int
) -> tuple[Teachers | None, tuple[TeacherRecord, ...]]:
    """Return the teachers in some directories, which show their progress, and their record."""
    if not directories:
        return None, ()
    models = [load_model(directory) for directory in directories]
    records = [
        TeacherRecord(path_to_text(os.path.abspath(directory)), saved.sha256)
        for directory, saved in zip(directories, models, strict=True)
    ]
    return Teachers(models, n_samples, [*map(str, directories)], with_progress), (*records,)


def recorded_teachers(
    plan: TrainingPlan, given: Sequence[Path] | None
) -> tuple[TrainingPlan, Teachers | None]:
    """Return the plan of a recorded run with the directories of its teachers, and the teachers.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher is missing, or another model is in its directory.
    """
    recorded = plan.teachers
    directories = given or [path_from_text(each.directory) for each in recorded]
    remedy = "pass the directories of the teachers, in their order, with --teacher"
    if len(directories) != len(recorded):
        remedy = remedy if recorded else "omit --teacher"
        raise ConfigError(f"the run has {len(recorded)} teachers, not {len(directories)}; {remedy}")
    if not recorded:
        return plan, None
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigError(f"the teacher {directory} does not exist; {remedy}")
    teachers, records = load_teachers(directories, plan.teacher_samples)
    for directory, found, expected in zip(directories, records, recorded, strict=True):
        sha256, wanted = found.weights_sha256, expected.weights_sha256
        if sha256 != wanted:
            raise ConfigError(
                f"the model in {directory} is not the teacher of the run: the sha256 of its "
                f"weights is {sha256[:12]}…, not {wanted[:12]}…; {remedy}"
            )
    return replace(plan, teachers=records), teachers
