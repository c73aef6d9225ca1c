"""What a training run reads: its documents, its parent model and its teachers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from microgpt.config import DEFAULT_SEED, TextKind
from microgpt.data.documents import load_documents
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.state import TeacherRecord, TrainingPlan
from microgpt.storage.model_directory import SavedModel
from microgpt.training.distillation import Teachers
from microgpt.training.holding_out import split_documents
from microgpt.training.presets import PRESETS, PresetName
from microgpt_cli.input_files import check_regular, default_input
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT
from microgpt_cli.terminal.progress import with_progress


@dataclass(frozen=True)
class Sources:
    """The files that a training run reads, and how it reads them."""

    data: Path | None = None  # by default, the file of the preset, which may generate documents
    parent: Path | None = None  # directory of the model to fine-tune
    teachers: Sequence[Path] = ()  # directories of the models to learn from
    teacher_samples: int = 0
    text: TextKind | None = None  # by default, that of the parent or the first teacher
    text_otherwise: TextKind | None = None  # by default, the content of the file decides
    column: str | None = None
    chat: bool = False
    preset: PresetName | None = None
    seed: int = DEFAULT_SEED

    @cached_property
    def parent_model(self) -> SavedModel | None:
        """The model to fine-tune, if any."""
        return load_model(self.parent) if self.parent else None

    @cached_property
    def teacher_models(self) -> tuple[SavedModel, ...]:
        """The models to learn from."""
        return tuple(map(load_model, self.teachers))

    def load_teachers(self) -> tuple[Teachers | None, tuple[TeacherRecord, ...]]:
        """Return the teachers, which show their progress, and their record."""
        models, paths = self.teacher_models, self.teachers
        if not models:
            return None, ()
        records = (
            TeacherRecord(path_to_text(os.path.abspath(path)), saved.sha256)
            for path, saved in zip(paths, models, strict=True)
        )
        names = [*map(str, paths)]
        return Teachers(models, self.teacher_samples, names, with_progress), tuple(records)

    def documents(self, *, check: bool = True) -> tuple[Path | None, Sequence[Document] | str]:
        """Return the documents and the absolute path of their file, if they come from one.

        `load_documents` says what `check` means.
        """
        path = self.data or _default_data(self.preset, chat=self.chat)
        if path is None:
            assert self.preset  # only presets have no input file
            return None, PRESETS[self.preset].draw(self.seed)
        like = self.parent_model or next(iter(self.teacher_models), None)
        text = self.text or (like.text if like else None) or self.text_otherwise
        docs = load_documents(
            path, text=text, column=self.column, chat=self.chat, check=check, tell=note
        )
        return Path(os.path.abspath(path)), docs


def _default_data(preset: PresetName | None, *, chat: bool) -> Path | None:
    """Return the default input file, or None if the preset generates the documents."""
    data = PRESETS[preset].data if preset else "names"
    if data is None:
        raise ConfigError(f"--preset {preset} requires your own data; pass it with --data")
    return None if data == "grammar" else default_input(DEFAULT_CHAT if chat else f"{data}.txt")


def recorded_documents(plan: TrainingPlan, given: Path | None) -> tuple[Path | None, Split]:
    """Return the documents of a recorded run and their absolute path, if they come from a file.

    Raise ConfigError if the file that is given has other documents.
    """
    if plan.input and not given:
        check_regular(plan.input, "pass the documents of this run with --data")
    sources = Sources(
        given or plan.input,
        text=plan.config.text,
        column=plan.column,
        chat=plan.tokenizer.is_chat,
        preset=plan.preset,
        seed=plan.config.seed,
    )
    path, docs = sources.documents(check=False)
    held_out = (plan.data.val_fraction, plan.data.test_fraction)
    parts = split_documents(docs, *held_out, plan.data.holdout or "tail", plan.data.gap)
    if parts.facts.sha256 != plan.data.sha256:
        raise ConfigError(
            f"{given or plan.input or 'the preset'} is not the input of the run: the sha256 of its "
            f"documents is {parts.facts.sha256[:12]}…, not {plan.data.sha256[:12]}…; pass the "
            "original file with --data, or train the model on another text with --from"
        )
    return path, parts


def recorded_parent(plan: TrainingPlan, directory: Path, given: Path | None) -> SavedModel | None:
    """Return the model that a run started from, if any; raise ConfigError if another is given."""
    if not plan.parent_sha256:
        if given:
            raise ConfigError(f"the run in {directory} did not start from a model; omit --from")
        return None
    if not given:
        raise ConfigError(
            f"the run in {directory} started from a model; pass its directory with --from"
        )
    parent = load_model(given)
    if parent.sha256 != plan.parent_sha256:
        raise ConfigError(
            f"the run in {directory} did not start from the model in {given}, whose sha256 is "
            f"{parent.sha256[:12]}…, not {plan.parent_sha256[:12]}…; pass "
            "another directory with --from"
        )
    return parent


def recorded_teachers(
    plan: TrainingPlan, given: Sequence[Path] | None
) -> tuple[Teachers | None, tuple[TeacherRecord, ...]]:
    """Return the teachers of a recorded run, and their record with their directories now.

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
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigError(f"the teacher {directory} does not exist; {remedy}")
    sources = Sources(teachers=directories, teacher_samples=plan.teacher_samples)
    teachers, records = sources.load_teachers()
    for directory, found, expected in zip(directories, records, recorded, strict=True):
        sha256, wanted = found.weights_sha256, expected.weights_sha256
        if sha256 != wanted:
            raise ConfigError(
                f"the model in {directory} is not the teacher of the run: the sha256 of its "
                f"weights is {sha256[:12]}…, not {wanted[:12]}…; {remedy}"
            )
    return teachers, records
