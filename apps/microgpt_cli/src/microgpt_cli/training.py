"""A training with all that is around it: its directory, signals, progress, what can go wrong."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import typer

from microgpt.checkpoint import save
from microgpt.engines import check_fits, prepare_engine
from microgpt.errors import CheckpointError
from microgpt.model import count_params
from microgpt.state import TrainResult, TrainState
from microgpt.train import DivergedError, train
from microgpt.training_directory import TrainingDirectory
from microgpt.weights_file import WeightsFormat
from microgpt_cli.progress import TrainingProgress
from microgpt_cli.stopping import StopRequest
from microgpt_cli.streams import note, say, show_while_read
from microgpt_cli.training_job import Job


@dataclass(frozen=True)
class Wishes:
    """How a training is to be done; none of it changes its result.

    Attributes:
        threads: the processor cores to use.
        checkpoint_every: steps between two states on disk, or None for every 5 seconds.
        weights_format: of the model.
        has_samples: whether samples will follow.
        quiet: leave the header out.
    """

    threads: int
    checkpoint_every: int | None
    weights_format: WeightsFormat | None
    has_samples: bool
    quiet: bool


def run(job: Job, path: Path, wishes: Wishes, *, force: bool) -> TrainResult:
    """Train in a directory to the end, and leave the model there.

    The header goes to stdout, progress and notes to stderr.
    """
    plan = job.plan
    longest = max(map(plan.tokenizer.count_tokens, job.parts.train)) - 1
    check_fits(
        plan.engine,
        plan.dtype,
        plan.model,
        plan.config,
        longest=min(plan.model.block_size, longest),
        threads=wishes.threads,
    )
    with TrainingDirectory(path) as directory:
        if not job.resume and not force:
            _check_ended(directory)
        uses = job.uses(has_samples=wishes.has_samples)
        prepare_engine(plan.engine, plan.dtype, uses=uses, tell=note)
        with TrainingProgress(plan.config.steps) as progress, StopRequest() as stop:
            progress.restart(job.resume.step if job.resume else 0)
            if not wishes.quiet:
                _show_header(job)
            _tell_about_data(job)
            try:
                result = train(
                    job.parts,
                    model=plan.model,
                    config=plan.config,
                    tokenizer=plan.tokenizer,
                    engine=plan.engine,
                    dtype=plan.dtype,
                    threads=wishes.threads,
                    parent=job.parent,
                    resume=job.resume,
                    on_event=progress.update,
                    on_state=_Keeper(directory, job),
                    state_every=wishes.checkpoint_every,
                    should_stop=stop,
                )
            except DivergedError as error:
                progress.stop()
                _keep_last_good(error, directory, job)
            progress.stop()
            result = replace(
                result, parent_sha256=plan.parent_sha256, genome_sha256=plan.genome_sha256
            )
            if result.ending == "stopped":
                assert stop.reason
                raise stop.reason(_leave(result, directory, job))
            _finish(result, directory, job, wishes.weights_format)
            if stop.reason:
                raise stop.reason(f"after the last step; the model is in {path}")
            return result


class _Keeper:
    """Keeps states in the directory; a disk that is full for a while does not end a training."""

    def __init__(self, directory: TrainingDirectory, job: Job) -> None:
        self._directory, self._job = directory, job
        self._has_failed = False

    def __call__(self, state: TrainState) -> None:
        if _is_worthless(state, self._directory):
            return
        try:
            self._directory.keep(self._job.plan, state)
        except CheckpointError as error:
            if not self._directory.has_state:
                raise
            if not self._has_failed:
                note(f"{error}; an earlier state is still there, and the next will be tried")
            self._has_failed = True


def _check_ended(directory: TrainingDirectory) -> None:
    """Raise CheckpointError if there is a training that could go on."""
    if not directory.has_state:
        return
    directory.read_state()
    plan, state, path = directory.plan, directory.state, directory.path
    if directory.status == "running" and plan and state:
        raise CheckpointError(
            f"the training in {path} has not ended: it is at step {state.step} of "
            f"{plan.config.steps}; go on with --resume {path}, or begin anew with --force"
        )


def _show_header(job: Job) -> None:
    tokenizer = job.plan.tokenizer
    show_while_read(
        f"num {'convos' if tokenizer.is_chat else 'docs'}: {len(job.parts.docs)}\n"
        f"vocab size: {tokenizer.vocab_size}\n"
        f"num params: {count_params(job.plan.model)}"
    )


def _tell_about_data(job: Job) -> None:
    parts, block_size = job.parts, job.plan.model.block_size
    if job.resume:
        note(f"going on after step {job.resume.step} of {job.plan.config.steps}")
    if parts.validation or parts.test:
        note(
            f"{len(parts.train)} documents to learn from, {len(parts.validation)} held out for "
            f"validation, {len(parts.test)} for the test"
        )
    count_tokens = job.plan.tokenizer.count_tokens
    n_cut = sum(count_tokens(doc) > block_size + 1 for doc in parts.train)
    if n_cut:
        note(
            f"{n_cut} of {len(parts.train)} documents do not fit into the block size of "
            f"{block_size}; what lies beyond it is not learnt"
        )


def _is_worthless(state: TrainState, directory: TrainingDirectory) -> bool:
    """Return whether what an ended training has left is worth more than this state."""
    return state.step == 0 and directory.has_model


def _leave(result: TrainResult, directory: TrainingDirectory, job: Job) -> str:
    """Keep the state of a training that was stopped; return what to say."""
    path, where = directory.path, f"at step {result.state.step} of {result.config.steps}"
    if _is_worthless(result.state, directory):
        return f"{where}; {path} is as it was before"
    try:
        directory.keep(job.plan, result.state)
    except CheckpointError as error:
        return f"{where}, which is lost: {error}"
    return f"{where}; go on with: microgpt train --resume {path}"


def _finish(
    result: TrainResult,
    directory: TrainingDirectory,
    job: Job,
    weights_format: WeightsFormat | None,
) -> None:
    try:
        directory.finish(job.plan, result, weights_format)
    except CheckpointError as error:  # it could be written when the training began: not bad input
        say(f"error: {error}; then go on with: microgpt train --resume {directory.path}")
        raise typer.Exit(1) from error


def _keep_last_good(error: DivergedError, directory: TrainingDirectory, job: Job) -> NoReturn:
    """Save what there is beside the output, where a good model of an earlier run may be."""
    kept = Path(f"{os.path.realpath(directory.path)}.diverged")
    try:
        if not directory.has_model:
            directory.keep(job.plan, error.result.state, "diverged")
        save(error.result, kept)
        say(f"error: {error} (the last good weights are in {kept})")
    except CheckpointError as problem:
        say(f"error: {error} (the last good weights are lost: {problem})")
    raise typer.Exit(1)
