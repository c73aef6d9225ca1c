"""Run a training job: print a header, notes and progress, and save checkpoints."""

import random
from functools import partial
from pathlib import Path

import typer

from microgpt import (
    CheckpointError,
    Checkpoints,
    ChunkedDataset,
    DivergedError,
    OnEvent,
    StopWhen,
    TrainingDirectory,
    TrainingJob,
    TrainResult,
    Use,
    as_argument,
    count,
    count_params,
    has_model,
    mark,
    prepare_engine,
    remove_teachers,
    train_job,
    with_teachers,
)
from microgpt_cli.terminal.console import StopRequest, note, print_or_discard, say
from microgpt_cli.terminal.progress_bar import TrainingProgress, with_progress
from microgpt_cli.training.train_request import TrainRequest
from microgpt_cli.training.training_report import use_command


def run_job(job: TrainingJob, directory: TrainingDirectory, request: TrainRequest) -> TrainResult:
    """Train and save the model; print the header to stdout, progress and notes to stderr."""
    chunks, threads = job.chunks, request.given.get("threads", 1)
    train = partial(_train, model_dir=directory.path, threads=threads)
    try:
        _prepare(job, chunks, threads, has_samples=request.num_samples != 0)
        _note_data(job, chunks, quiet=request.as_json)
        if job.plan.ensemble and not job.teachers:
            if not request.resume:
                remove_teachers(directory.path)  # teachers of the run that is replaced
            job = with_teachers(job, directory, train, threads=threads, show=with_progress)
    except KeyboardInterrupt as signal:
        if signal.args:
            raise
        step = f"at step {job.resume.step}" if job.resume else "before the first step"
        hint = _resume_hint(directory.path) if directory.has_own_state else "nothing was written"
        raise type(signal)(f"{step}; {hint}") from None
    return train(job, directory)


def _train(
    job: TrainingJob, directory: TrainingDirectory, *, model_dir: Path, threads: int
) -> TrainResult:
    """Train and save a model or a teacher; messages tell the user to resume `model_dir`."""
    of, hint = f" of {job.place.name}" if job.place.name else "", _resume_hint(model_dir)
    is_teacher = directory.path != model_dir
    if job.resume and (job.resume.step or not of):
        note(f"resuming after step {job.resume.step} of {job.plan.config.steps}{of}")
    read = mark(job.plan.contamination.get("validation", 0.0))
    with TrainingProgress(job.place, read) as progress, StopRequest() as stop:
        try:
            hooks = [OnEvent(progress.update), Checkpoints(directory.keep), StopWhen(stop)]
            result = train_job(job, threads=threads, hooks=hooks)
            place = f"step {result.state.step} of {result.config.steps}{of}"
            if result.ending == "stopped":
                assert stop.reason
                raise stop.reason(f"at {place}{_save_interrupted(directory, result, hint)}")
            if is_cut := result.ending == "until" and job.limit:
                more = "--minutes 1" if of else f"--steps {result.config.steps}"
                rest = f"; if the loss falls, use --resume {as_argument(model_dir)} {more}"
                note(f"the time was up after {place}{'' if is_teacher else rest}")
            directory.finish(result)
        except DivergedError as error:
            say(f"error: {error}")
            raise typer.Exit(1) from error
        except CheckpointError as error:
            say(f"error: {error}" + (f"; {hint}" if directory.has_own_state else ""))
            raise typer.Exit(1) from error  # exit code 1, as the input was valid
        if not is_cut:
            remove_teachers(directory.path)
        if stop.reason:
            rest = hint if is_teacher else f"the model is in {directory.path}"
            raise stop.reason(f"after the last step{of}; {rest}")
        return result


def _prepare(job: TrainingJob, chunks: ChunkedDataset, threads: int, *, has_samples: bool) -> None:
    """Load the engine's kernels; if there are teachers, let them predict the training targets."""
    plan = job.plan
    uses: list[Use] = ["training"] if threads == 1 else ["training", "threads"]
    uses += ["decoding"] if has_samples or plan.tokenizer.is_chat else []
    uses += ["evaluation"] if job.sets.validation or job.sets.test or plan.ensemble else []
    uses += ["generation"] if plan.ensemble else []
    job.extend(prepare_engine(plan.engine, plan.dtype, uses=uses))
    if teachers := job.teachers:
        job.extend(teachers.prepare())
        note(f"the targets are the predictions of {count(len(teachers.models), 'teacher')}")
        teachers.dataset(chunks, plan, random.Random(plan.config.seed), threads)


def _save_interrupted(directory: TrainingDirectory, result: TrainResult, hint: str) -> str:
    """Save the state of an interrupted run, and return a text that says how to resume it."""
    message = ""
    try:
        if not directory.keep(result.plan, result.state):
            return f"; {directory.path} is unchanged"
    except CheckpointError as error:
        message = f"; this checkpoint was not saved: {error}"
    if not directory.has_own_state:
        return message
    if not has_model(directory.path):
        hint += f"; use the model so far with: {use_command(result, directory.path)}"
    return f"{message}; {hint}"


def _resume_hint(model_dir: Path) -> str:
    """Return the hint "resume with:" and the command that resumes a run."""
    return f"resume with: microgpt train --resume {as_argument(model_dir)}"


def _note_data(job: TrainingJob, chunks: ChunkedDataset, *, quiet: bool) -> None:
    """Print the sizes of data and model, unless quiet, and notes on held-out and long documents."""
    plan, sets = job.plan, job.sets
    is_stream = plan.config.text == "stream"
    what = "characters" if is_stream else "documents"
    size = (lambda texts: sum(map(len, texts))) if is_stream else len
    if not quiet:
        folds = plan.tokenizer.folds
        folding = '\nfolding: case and accents ("Jörg" is read as "jorg")' if folds else ""
        unit = "chars" if is_stream else "convos" if plan.tokenizer.is_chat else "docs"
        print_or_discard(
            f"num {unit}: {size(sets.docs)}\nvocab size: {plan.tokenizer.vocab_size}\n"
            f"num params: {count_params(plan.model)}{folding}"
        )
    if sets.validation or sets.test:
        held_out = {"validation": sets.validation, "testing": sets.test}
        sizes = [f"{size(docs)} for {use}" for use, docs in held_out.items() if docs]
        extra, n_left_out = "", len(sets.docs) - sum(map(len, (sets.train, *held_out.values())))
        if sets.gap is not None:
            n_stretches = len(sets.validation) + len(sets.test)
            extra = f"; {n_stretches} held-out stretches with gaps of {sets.gap} characters"
        elif n_left_out and not is_stream and sets.every == 1:
            extra = f"; {n_left_out} duplicates are left out"
        if sets.every > 1:
            extra += f"; one part in {sets.every} is read, as there is no time for more"
        note(", ".join([f"{size(sets.train)} {what} for training", *sizes]) + extra)
    if chunks.n_long and not is_stream:
        n_docs, n_long = len(sets.train), chunks.n_long
        n_chunks = len(chunks) - n_docs + n_long
        long = f"{n_long} of {n_docs} documents are longer than the block size"
        note(f"{long} of {chunks.block_size}, and are split into {n_chunks:,} chunks")
