"""Create a job of `microgpt train`: read the files given by options, and plan the training."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microgpt import (
    DEFAULT_SEED,
    PRESETS,
    ConfigError,
    Document,
    ReadOptions,
    SavedModel,
    TeacherRecord,
    Teachers,
    TextFile,
    TimeLimit,
    TrainingJob,
    count_params,
    examples,
    load_documents,
    measure,
    path_to_text,
    plan_training,
    plugin,
)
from microgpt_cli.model_loading import TRAINING, check_duration, default_input, load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT
from microgpt_cli.terminal.progress import load_kernels, with_progress
from microgpt_cli.training.request import N_SAMPLES, TrainRequest


def new_job(request: TrainRequest, started: float) -> TrainingJob:
    """Return the job of a new run.

    The time of --minutes starts at `started`, a value of `perf_counter`.
    """
    given = request.completed()
    preset, minutes = given.get("preset"), given.get("minutes")
    count_samples(request.num_samples, chat=given.get("chat", False))
    parent = load_model(request.from_) if request.from_ else None
    teachers, records = load_teachers(request.teacher or ())
    how, like = ReadOptions.of(given), parent or (teachers and teachers.models[0])
    if isinstance(like, SavedModel):
        how = replace(how, text=how.text or like.text)
    file, docs = read_input(request.input, how, preset, given.get("seed", DEFAULT_SEED))
    if not file:  # the conversations are generated in the order in which to read them
        given = {"shuffle": False, **given}
    steps = None
    if given.get("budget") and "steps" in request.given:  # as a time limit has corrected them
        steps = given.pop("steps")
    job = plan_training(
        docs,
        given,
        parent=parent,
        teachers=teachers,
        limit=TimeLimit(minutes, started) if minutes else None,
        load_kernels=load_kernels,
        tell=note,
    )
    plan = job.plan.with_steps(steps) if steps else job.plan
    if not given.get("engine") and plan.engine == "reference":
        sizes = measure(job.parts.train, plan.tokenizer, plan.config.text)
        n_docs = plan.config.steps * plan.config.batch_size
        n_tokens = n_docs * sizes.chunk_length(plan.model.block_size)
        check_duration(6 * count_params(plan.model) * n_tokens / TRAINING)
    is_private = file is not None and file.is_chat_export  # a chat between people
    plan = replace(
        plan,
        input=file.path if file else None,
        parent_sha256=parent.sha256 if parent else None,
        teachers=records,
        examples=() if is_private else examples(job.parts),
    )
    return replace(job, plan=plan)


def load_teachers(paths: Sequence[Path]) -> tuple[Teachers | None, tuple[TeacherRecord, ...]]:
    """Return the teachers in directories, which show their progress, and their records."""
    models = tuple(map(load_model, paths))
    records = (
        TeacherRecord(path_to_text(os.path.abspath(path)), saved.sha256)
        for path, saved in zip(paths, models, strict=True)
    )
    names = [*map(str, paths)]
    teachers = Teachers(models, names=names, show=with_progress) if models else None
    return teachers, tuple(records)


def read_input(
    data: Path | None, how: ReadOptions, preset: str | None, seed: int
) -> tuple[TextFile | None, Sequence[Document] | str]:
    """Return the documents, and their file with its absolute path if they come from one.

    By default, the file is that of the preset, which may generate documents instead.
    """
    path = data or _default_data(preset, chat=how.chat)
    if path is None:
        draw = plugin("grammars", "chat")
        if draw is None:
            raise ConfigError(
                "--preset chat without --data requires the package microgpt-characters; install it"
            )
        assert preset  # only presets have no input file
        return None, draw(PRESETS[preset]["n_conversations"], seed)
    file = TextFile(path)
    docs = load_documents(file, how, tell=note)
    file.path = Path(os.path.abspath(path))
    return file, docs


def count_samples(num_samples: int | None, *, chat: bool) -> int:
    """Return the number of samples to print; raise ConfigError for a chat model."""
    if chat and num_samples:
        raise ConfigError(
            "--num-samples cannot be used with --chat; run `microgpt chat` afterwards"
        )
    return (0 if chat else N_SAMPLES) if num_samples is None else num_samples


def _default_data(preset: str | None, *, chat: bool) -> Path | None:
    """Return the default input file, or None if the preset generates the documents."""
    data = PRESETS[preset].get("data") if preset else "names"
    if data is None:
        raise ConfigError(f"--preset {preset} requires your own data; pass it with --data")
    return None if data == "grammar" else default_input(DEFAULT_CHAT if chat else f"{data}.txt")
