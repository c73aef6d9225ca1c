"""Run a training in its directory, with progress, stop signals, checkpoints and failures."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from microgpt.data.chunked_dataset import ChunkedDataset
from microgpt.data.tokenizer import Document
from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import as_argument
from microgpt.model import count_params
from microgpt.state import TrainingPlan, TrainResult, TrainState
from microgpt.storage.model_directory import save
from microgpt.storage.training_directory import TrainingDirectory
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
    """Train to the end, and leave the model in a directory that this process has locked.

    The header, unless quiet, goes to stdout, progress and notes to stderr. Samples that are to
    follow need kernels of their own.
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
        _tell_about_data(job, reading, quiet=quiet)
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
                on_state=_Keeper(directory, plan),
                state_every=checkpoint_every,
                should_stop=stop,
            )
        except DivergedError as error:
            progress.stop()
            say(f"error: {error} ({_keep_last_good(error.result, directory, plan)})")
            raise typer.Exit(1) from error
        progress.stop()
        result = replace(result, plan=plan)
        if result.ending == "stopped":
            assert stop.reason
            raise stop.reason(_leave(result, directory))
        try:
            directory.finish(result)
        except CheckpointError as error:  # not bad input: it could be written in the beginning
            say(f"error: {error}{_how_to_go_on(directory)}")
            raise typer.Exit(1) from error
        if stop.reason:
            raise stop.reason(f"after the last step; the model is in {directory.path}")
        return result


class _Keeper:
    """Keeps states in the directory; a disk that is full for a while does not end a training."""

    def __init__(self, directory: TrainingDirectory, plan: TrainingPlan) -> None:
        self._directory, self._plan = directory, plan
        self._has_failed = False

    def __call__(self, state: TrainState) -> None:
        if _is_worth_less_than_what_is_there(state, self._directory):
            return
        try:
            self._directory.keep(self._plan, state)
        except CheckpointError as error:
            if not self._directory.has_own_state:
                raise
            if not self._has_failed:
                note(f"{error}; an earlier state is still there, and the next will be tried")
            self._has_failed = True


def _n_chars(texts: Sequence[Document]) -> int:
    return sum(map(len, texts))


def _tell_about_data(job: TrainingJob, reading: ChunkedDataset, *, quiet: bool) -> None:
    """Print the header, unless quiet; note what is held out and what does not fit."""
    plan, parts = job.plan, job.parts
    is_stream = plan.config.text == "stream"
    what, count = ("characters", _n_chars) if is_stream else ("documents", len)
    if not quiet:
        unit = "chars" if is_stream else "convos" if plan.tokenizer.is_chat else "docs"
        show_while_read(
            f"num {unit}: {count(parts.docs)}\nvocab size: {plan.tokenizer.vocab_size}\n"
            f"num params: {count_params(plan.model)}"
        )
    if job.resume:
        note(f"going on after step {job.resume.step} of {plan.config.steps}")
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
    message = f"at step {result.state.step} of {result.config.steps}"
    if _is_worth_less_than_what_is_there(result.state, directory):
        return f"{message}; {directory.path} is as it was before"
    try:
        directory.keep(result.plan, result.state)
    except CheckpointError as error:
        message += f", which is lost: {error}"
    return message + _how_to_go_on(directory)


def _how_to_go_on(directory: TrainingDirectory) -> str:
    """Return the end of a message: the command that goes on, if there is a state to go on from."""
    if not directory.has_own_state:
        return ""
    return f"; go on with: microgpt train --resume {as_argument(directory.path)}"


def _keep_last_good(result: TrainResult, directory: TrainingDirectory, plan: TrainingPlan) -> str:
    """Save a diverged training beside the output, where a good model may be; return what to say."""
    kept = Path(f"{os.path.realpath(directory.path)}.diverged")
    try:
        if directory.has_own_state:
            directory.keep(plan, result.state, "diverged")
        save(result, kept)
    except CheckpointError as problem:
        return f"the last good weights are lost: {problem}"
    return f"the last good weights are in {kept}"
