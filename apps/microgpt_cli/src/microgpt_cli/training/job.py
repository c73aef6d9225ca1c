"""Create the job of `microgpt train` from its options."""

from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from microgpt.errors import ConfigError
from microgpt.storage.training_directory import check_has_training
from microgpt.training.options import N_SAMPLES, TrainOptions
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.time_limit import TimeLimit
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import load_kernels
from microgpt_cli.training.recorded_runs import Repetition
from microgpt_cli.training.sources import Sources


def recipe_options(given: TrainOptions) -> TrainOptions:
    """Return the options that the preset or the genome.json sets, if there is one."""
    given.check_conflicts(given.given)  # before a file is read
    if given.resume or given.repeat:
        return TrainOptions()  # the run has its own
    if given.genome:
        return _genome_options(given.genome, given)
    return TrainOptions.of_preset(given.preset) if given.preset else TrainOptions()


def _genome_options(path: Path, given: TrainOptions) -> TrainOptions:
    """Return the options that a genome.json sets.

    With `evaluations`, the budget does not include them, as in the search.
    """
    from microgpt_evolution.budgeted.objective import EVALUATIONS
    from microgpt_evolution.genome import LONG_DOCS
    from microgpt_evolution.genome_file import BudgetedRecord, read_genome

    record = read_genome(path)
    if isinstance(record, BudgetedRecord):
        facts: dict[str, object] = {**asdict(record.genome), "gap": record.gap}
        facts["tokenizer"] = "bpe" if record.genome.vocab_size else "char"
        if not (given.has_budget or "steps" in given):
            facts |= {"budget": record.operations, "evaluations": EVALUATIONS}
    else:
        genome = record.genome
        facts = {**vars(genome.model()), "steps": genome.steps, "lr": genome.lr, "vocab_size": None}
        facts["long_docs"] = None if given.text == "stream" else LONG_DOCS
    return TrainOptions.of(facts, f"--genome {path}")


def begin(options: TrainOptions, started: float) -> tuple[TrainingJob | None, Repetition | None]:
    """Return a new job, and what it repeats, if anything; no job if a run is to be resumed.

    The time of --minutes began at `started`, a reading of `perf_counter`.
    """
    if options.resume:
        check_has_training(options.resume)
        return None, None
    if not options.repeat:
        return _new_job(options, started), None
    repetition = Repetition(
        options.repeat,
        options.output,
        options.force,
        data=options.input,
        parent=options.from_,
        teachers=options.teacher,
        weights_format=options.format,
    )
    return repetition.job(), repetition


def _new_job(options: TrainOptions, started: float) -> TrainingJob:
    """Return a job with the options of the user, a preset or a genome."""
    count_samples(options.num_samples, chat=options.chat)
    sources = Sources(
        data=options.input,
        parent=options.from_,
        teachers=options.teacher or (),
        teacher_samples=options.teacher_samples,
        text=options.text,
        text_otherwise="lines" if "long_docs" in options else None,
        column=options.column,
        chat=options.chat,
        preset=options.preset,
        seed=options.seed,
    )
    minutes = options.minutes
    limit = TimeLimit.of(minutes, started, has_plot=options.plot) if minutes else None
    parent = sources.parent_model
    teachers, records = sources.load_teachers()
    path, docs = sources.documents()
    if not path:  # the conversations are generated in the order in which to read them
        options = TrainOptions(shuffle=False).over(options)
    job = plan_training(
        docs,
        options,
        parent=parent,
        teachers=teachers,
        limit=limit,
        load_kernels=load_kernels,
        tell=note,
    )
    plan = replace(
        job.plan,
        input=path,
        parent_sha256=parent.sha256 if parent else None,
        teachers=records,
        genome_sha256=sha256(options.genome.read_bytes()).hexdigest() if options.genome else None,
    )
    return replace(job, plan=plan)


def count_samples(num_samples: int | None, *, chat: bool) -> int:
    """Return the number of samples to print; raise ConfigError for a chat model."""
    if chat and num_samples:
        raise ConfigError(
            "--num-samples cannot be used with --chat; run `microgpt chat` afterwards"
        )
    return (0 if chat else N_SAMPLES) if num_samples is None else num_samples
