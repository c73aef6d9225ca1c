"""Run a training in its directory, with progress, stop signals, checkpoints and failures."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import typer

from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.tokenizer import Document
from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import as_argument
from microgpt.model import count_params
from microgpt.state import TrainResult, TrainState
from microgpt.storage.model_directory import save
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.train import DivergedError, train
from microgpt.training.engines import Use, check_fits, prepare_engine
from microgpt_cli.terminal.console import note, say, show_while_read
from microgpt_cli.terminal.progress import TrainingProgress
from microgpt_cli.terminal.signals import StopRequest
from microgpt_cli.training.job import TrainingJob


def run(
    job: TrainingJob,
    directory: TrainingDirectory,
    *,
    threads: int,
    checkpoint_every: int | None,
    has_samples: bool,
    quiet: bool,
) -> TrainResult:
    """Train to the end, and leave the model in a directory.

    The header, unless quiet, goes to stdout, progress and notes to stderr.

    Args:
        job: what to train.
        directory: is locked by this process.
        checkpoint_every: steps between two states on disk, or None for every 5 seconds.
        has_samples: whether samples will follow, which need kernels of their own.
        quiet: print no header.
    """
    plan, parts = job.plan, job.parts
    reading = parts.chunked(plan.tokenizer, plan.model.block_size, plan.config)
    check_fits(
        plan.engine, plan.dtype, plan.model, plan.config, longest=reading.longest, threads=threads
    )
    uses: list[Use] = ["training"]
    uses += ["decoding"] if has_samples else []
    uses += ["evaluation"] if parts.validation or parts.test else []
    prepare_engine(plan.engine, plan.dtype, uses=uses, tell=note)
    with TrainingProgress(plan.config.steps) as progress, StopRequest() as stop:
        progress.restart(job.resume.step if job.resume else 0)
        if not quiet:
            _show_header(job)
        _tell_about_data(job, reading)
        try:
            result = train(
                parts,
                model=plan.model,
                config=plan.config,
                tokenizer=plan.tokenizer,
                engine=plan.engine,
                dtype=plan.dtype,
                threads=threads,
                parent=job.parent,
                resume=job.resume,
                on_event=progress.update,
                on_state=_Keeper(directory, job),
                state_every=checkpoint_every,
                should_stop=stop,
            )
        except DivergedError as error:
            progress.stop()
            _keep_last_good(error, directory, job)
        progress.stop()
        result = replace(result, plan=plan)
        if result.ending == "stopped":
            assert stop.reason
            raise stop.reason(_leave(result, directory))
        _finish(result, directory)
        if stop.reason:
            raise stop.reason(f"after the last step; the model is in {directory.path}")
        return result


def refuse_unfinished(directory: TrainingDirectory) -> None:
    """Raise CheckpointError if there is a training in a directory that could go on."""
    if not directory.has_state:
        return
    plan, state, status = read_training(directory.path)
    if status == "running":
        raise CheckpointError(
            f"the training in {directory.path} has not ended: it is at step {state.step} of "
            f"{plan.config.steps}; go on with --resume {as_argument(directory.path)}, or begin "
            "anew with --force"
        )


class _Keeper:
    """Keeps states in the directory; a disk that is full for a while does not end a training."""

    def __init__(self, directory: TrainingDirectory, job: TrainingJob) -> None:
        self._directory, self._job = directory, job
        self._has_failed = False

    def __call__(self, state: TrainState) -> None:
        if _is_worth_less_than_what_is_there(state, self._directory):
            return
        try:
            self._directory.keep(self._job.plan, state)
        except CheckpointError as error:
            if not self._directory.has_own_state:
                raise
            if not self._has_failed:
                note(f"{error}; an earlier state is still there, and the next will be tried")
            self._has_failed = True


def _show_header(job: TrainingJob) -> None:
    tokenizer, docs = job.plan.tokenizer, job.parts.docs
    if job.plan.config.text == "stream":
        size = f"num chars: {_n_chars(docs)}"
    else:
        size = f"num {'convos' if tokenizer.is_chat else 'docs'}: {len(docs)}"
    show_while_read(
        f"{size}\nvocab size: {tokenizer.vocab_size}\nnum params: {count_params(job.plan.model)}"
    )


def _n_chars(texts: Sequence[Document]) -> int:
    return sum(map(len, texts))


def _tell_about_data(job: TrainingJob, reading: ChunkedDataset) -> None:
    parts = job.parts
    is_stream = job.plan.config.text == "stream"
    what, count = ("characters", _n_chars) if is_stream else ("documents", len)
    if job.resume:
        note(f"going on after step {job.resume.step} of {job.plan.config.steps}")
    if parts.validation or parts.test:
        note(
            f"{count(parts.train)} {what} to learn from, {count(parts.validation)} held out for "
            f"validation, {count(parts.test)} for the test"
        )
    if reading.n_long and not is_stream:
        n_docs, n_long = len(parts.train), reading.n_long
        fate = {
            "window": f"they are learnt in {len(reading) - n_docs + n_long:,} pieces",
            "truncate": f"what lies beyond it, {reading.n_lost:,} tokens, is not learnt",
            "skip": f"they are left out, with {reading.n_lost:,} tokens to learn",
        }
        note(
            f"{n_long} of {n_docs} documents do not fit into the block size of "
            f"{reading.block_size}; {fate[reading.long_docs]}"
        )


def _is_worth_less_than_what_is_there(state: TrainState, directory: TrainingDirectory) -> bool:
    """Return whether an ended training has left a model, and this one has not taken a step."""
    return state.step == 0 and directory.has_model and not directory.has_own_state


def _leave(result: TrainResult, directory: TrainingDirectory) -> str:
    """Keep the state of a training that was stopped; return what to say."""
    path, where = directory.path, f"at step {result.state.step} of {result.config.steps}"
    if _is_worth_less_than_what_is_there(result.state, directory):
        return f"{where}; {path} is as it was before"
    try:
        directory.keep(result.plan, result.state)
    except CheckpointError as error:
        return f"{where}, which is lost: {error}{_how_to_go_on(directory)}"
    return f"{where}{_how_to_go_on(directory)}"


def _finish(result: TrainResult, directory: TrainingDirectory) -> None:
    try:
        directory.finish(result)
    except CheckpointError as error:  # it could be written when the training began: not bad input
        say(f"error: {error}{_how_to_go_on(directory)}")
        raise typer.Exit(1) from error


def _how_to_go_on(directory: TrainingDirectory) -> str:
    """Return the end of a message: the command that goes on, if there is a state to go on from."""
    if not directory.has_own_state:
        return ""
    return f"; go on with: microgpt train --resume {as_argument(directory.path)}"


def _keep_last_good(
    error: DivergedError, directory: TrainingDirectory, job: TrainingJob
) -> NoReturn:
    """Save what there is beside the output, where a good model of an earlier run may be."""
    kept = Path(f"{os.path.realpath(directory.path)}.diverged")
    try:
        if directory.has_own_state:
            directory.keep(job.plan, error.result.state, "diverged")
        save(error.result, kept)
        say(f"error: {error} (the last good weights are in {kept})")
    except CheckpointError as problem:
        say(f"error: {error} (the last good weights are lost: {problem})")
    raise typer.Exit(1)
