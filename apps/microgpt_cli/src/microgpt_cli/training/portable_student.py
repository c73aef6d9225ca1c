"""Train a portable student of a model that is exported: `microgpt export --student`."""

import os
from collections.abc import Sequence
from pathlib import Path

from microgpt.amounts import duration
from microgpt.config import DEFAULT_DTYPE, Use
from microgpt.data.read_options import ReadOptions
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.exports.apertus import misfit
from microgpt.exports.portable_student import PortableStudent, plan_student
from microgpt.exports.receipt import FEW_QUESTIONS
from microgpt.files.atomic_files import committed_path
from microgpt.state import TrainedModel
from microgpt.storage.meta import STATE_DESCRIPTION, meta_of
from microgpt.storage.saved_model import SavedModel
from microgpt.storage.training_directory import read_training
from microgpt.training.ensemble_training import train_job
from microgpt_cli.terminal.console import ask, note
from microgpt_cli.terminal.progress import TrainingProgress, load_kernels, with_progress
from microgpt_cli.training.job import Sources
from microgpt_cli.training.recorded_runs import recorded_documents


def portable(saved: SavedModel, directory: Path, data: Path | None, *, agreed: bool) -> SavedModel:
    """Return a model if its architecture is portable, or train a portable student of it.

    Print the time that the training takes, and the losses of the model and its student.

    Args:
        data: documents; by default, those of the model's training, or generated texts.
        agreed: whether to train without asking.

    Raises:
        ConfigError: the user does not agree, or there is no terminal to ask.
    """
    problem = misfit(saved.model)
    if data and not problem:
        raise ConfigError("the model is portable, so there is no student to train; omit --data")
    if saved.known_questions:
        raise ConfigError(FEW_QUESTIONS)
    if not problem:
        return saved
    uses: list[Use] = ["training", "evaluation", "generation"]
    load_kernels("compiled", *{saved.dtype, DEFAULT_DTYPE["compiled"]}, uses=uses)
    try:
        student = plan_student(saved, _documents(saved, directory, data))
    except ConfigError as error:
        raise ConfigError(f"{problem}; {error}") from error
    on = "texts that it generates" if student.teachers.n_samples else data or "its training data"
    takes = f"on {on}, which takes about {duration(student.estimated_seconds())}"
    if agreed:
        note(f"{problem}; training a portable student of it {takes}")
    elif not ask(f"{problem}; train a portable student of it {takes}?"):
        raise ConfigError(f"{problem}; train a portable student with --student {takes}")
    student.teachers.show = with_progress
    plan = student.job.plan
    try:
        with TrainingProgress(plan.config.steps, plan) as progress:
            result = train_job(student.job, on_event=progress.update)
    except KeyboardInterrupt as signal:
        raise type(signal)("nothing was written") from None
    _print_cost(student, saved, result)
    meta = meta_of(result, result.plan, result.state)
    return SavedModel(result.model, result.weights, result.tokenizer, result.dtype, meta)


def _print_cost(student: PortableStudent, saved: SavedModel, trained: TrainedModel) -> None:
    """Print the held-out loss of a model and of its student."""
    if not student.held_out:
        note("no conversations were held out, so the cost of the student is unknown")
        return
    before, after = student.bits(saved), student.bits(trained)
    on = "generated texts" if student.is_made_up else "held-out documents"
    print(
        f"bits per character of {on}: {before:.4f} of the model, {after:.4f} of the student "
        f"({after - before:+.4f})"
    )


def _documents(
    saved: SavedModel, directory: Path, data: Path | None
) -> Split | Sequence[Document] | str | None:
    """Return the documents in a file, or else those of the model's training if they are found."""
    has_state = committed_path(directory, STATE_DESCRIPTION).exists()
    plan = read_training(directory)[0] if has_state else None
    if data:
        facts = {"text": saved.text, "chat": saved.tokenizer.is_chat}
        how = plan.read_options if plan else ReadOptions.of(facts)
        return Sources(data, how=how).documents()[1]
    is_there = plan and (os.path.isfile(plan.input) if plan.input else plan.preset)
    return recorded_documents(plan, None)[1] if plan and is_there else None
