"""Create a job of `microgpt train`: read the files given by options, and plan the training."""

import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from microgpt import (
    N_SAMPLES,
    PORTABLE,
    PRESETS,
    ConfigError,
    Document,
    PresetName,
    ReadOptions,
    SavedModel,
    TeacherRecord,
    Teachers,
    TextFile,
    TimeLimit,
    TrainingJob,
    TrainOptions,
    count_params,
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


def recipe_options(given: TrainOptions) -> TrainOptions:
    """Return the options that --portable, the preset or the genome.json sets, if there is one."""
    given.check_conflicts(given.given)  # before a file is read
    if given.resume:
        return TrainOptions()  # the run has its own
    if given.genome:
        read_recipe = plugin("recipes", "genome")
        if read_recipe is None:
            raise ConfigError(
                "--genome requires microgpt-evolution, which is not installed; install this package"
            )
        facts = read_recipe(given.genome)
        if given.has_budget or "steps" in given:
            facts = {n: fact for n, fact in facts.items() if n not in ("budget", "evaluations")}
        return TrainOptions.of(facts, f"--genome {given.genome}")
    recipe = TrainOptions.of_preset(given.preset) if given.preset else TrainOptions()
    portable = PORTABLE if given.portable else {}
    return TrainOptions.of(portable, "--portable").over(recipe)


def new_job(options: TrainOptions, started: float) -> TrainingJob:
    """Return the job of a new run, with options from the user, a preset or a genome.

    The time of --minutes starts at `started`, a value of `perf_counter`.
    """
    count_samples(options.num_samples, chat=options.chat)
    parent = load_model(options.from_) if options.from_ else None
    teachers, records = load_teachers(options.teacher or ())
    how, like = ReadOptions.of(vars(options)), parent or (teachers and teachers.models[0])
    if isinstance(like, SavedModel):
        how = replace(how, text=how.text or like.text)
    file, docs = read_input(options.input, how, options.preset, options.seed)
    if file and file.is_chat_export:  # whose messages may be private
        options = TrainOptions(examples=False).over(options)
    if not file:  # the conversations are generated in the order in which to read them
        options = TrainOptions(shuffle=False).over(options)
    steps = None
    if options.budget and options.given.get("steps") == "":  # as a time limit has corrected them
        steps, options = options.steps, options.without("steps")
    job = plan_training(
        docs,
        options,
        parent=parent,
        teachers=teachers,
        limit=TimeLimit(options.minutes, started) if options.minutes else None,
        load_kernels=load_kernels,
        tell=note,
    )
    plan = job.plan.with_steps(steps) if steps else job.plan
    if not options.engine and plan.engine == "reference":
        sizes = measure(job.parts.train, plan.tokenizer, plan.config.text)
        n_docs = plan.config.steps * plan.config.batch_size
        n_tokens = n_docs * sizes.chunk_length(plan.model.block_size)
        check_duration(6 * count_params(plan.model) * n_tokens / TRAINING)
    plan = replace(
        plan,
        input=file.path if file else None,
        parent_sha256=parent.sha256 if parent else None,
        teachers=records,
        genome_sha256=sha256(options.genome.read_bytes()).hexdigest() if options.genome else None,
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
    data: Path | None, how: ReadOptions, preset: PresetName | None, seed: int
) -> tuple[TextFile | None, Sequence[Document] | str]:
    """Return the documents, and their file with its absolute path if they come from one.

    By default, the file is that of the preset, which may generate documents instead.
    """
    path = data or _default_data(preset, chat=how.chat)
    if path is None:
        assert preset  # only presets have no input file
        return None, PRESETS[preset].draw(seed)
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


def _default_data(preset: PresetName | None, *, chat: bool) -> Path | None:
    """Return the default input file, or None if the preset generates the documents."""
    data = PRESETS[preset].data if preset else "names"
    if data is None:
        raise ConfigError(f"--preset {preset} requires your own data; pass it with --data")
    return None if data == "grammar" else default_input(DEFAULT_CHAT if chat else f"{data}.txt")
