"""Run a training job with progress and checkpoints, and print the results."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from microgpt import (
    PIECE,
    CheckpointError,
    Checkpoints,
    ChunkedDataset,
    DivergedError,
    Document,
    InferenceGpt,
    OnEvent,
    Split,
    StopWhen,
    TrainingDirectory,
    TrainingJob,
    TrainingPlan,
    TrainResult,
    TrainState,
    Use,
    as_argument,
    count_params,
    folded,
    has_model,
    has_state,
    percentage,
    plain,
    read_training,
    repeated_share,
    save,
    train_job,
    with_tried_rate,
)
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.progress import TrainingProgress, load_kernels
from microgpt_cli.terminal.signals import StopRequest
from microgpt_cli.training.forgetting import forgetting
from microgpt_cli.training.job import count_samples
from microgpt_cli.training.replacement import confirm_replacement, has_same_model, unused_model
from microgpt_cli.training.request import TrainRequest
from microgpt_cli.training.results import print_results, use_command

N_STREAM_SAMPLES, STREAM_SAMPLE_TOKENS = 3, 300  # number and length of samples of running text
MUCH = 0.05  # share of repeated text that is told


@dataclass
class TrainRun:
    """A run of `microgpt train`: its job, its output directory, and what the user asks."""

    job: TrainingJob
    directory: TrainingDirectory
    request: TrainRequest
    _has_write_error: bool = field(default=False, init=False)

    def run(self) -> None:
        """Train, save the model, and print the results."""
        if not (self.request.resume or self.request.force):
            self._check_output()
        for line in self.job.reasons:
            note(line)
        request, is_stream = self.request, self.job.plan.config.text == "stream"
        n_samples = count_samples(request.num_samples, chat=self.job.plan.tokenizer.is_chat)
        if is_stream and request.num_samples is None:
            n_samples = N_STREAM_SAMPLES
        result = self._train(n_samples)
        samples: list[str] = []
        if n_samples:
            model = InferenceGpt(result, engine=result.plan.engine)
            length = STREAM_SAMPLE_TOKENS if is_stream else None
            samples = model.generate(n_samples, rng=result.rng(), max_tokens=length)
        parts = self.job.parts
        lost = forgetting(self.job.parent, request.from_, result, parts)
        print_results(result, samples, parts, self.directory.path, lost, request)

    def _check_output(self) -> None:
        """Ask before a new run replaces a model; raise CheckpointError if the model is to be kept.

        An unfinished run is always kept. A run without options may replace the same model. The time
        until the answer does not count towards --minutes.
        """
        path, plan = self.directory.path, self.job.plan
        if has_state(path):
            recorded, state, status = read_training(path)
            if status == "running":
                raise CheckpointError(
                    f"the training run in {path} is unfinished (step {state.step} of "
                    f"{recorded.config.steps}{recorded.model_of(state)}); resume it with "
                    f"--resume {as_argument(path)}, or replace it with --force"
                )
        if self.request.from_ and os.path.realpath(self.request.from_) == os.path.realpath(path):
            return  # the model goes on in its own directory
        if not (self.request.is_default and has_same_model(path, plan)):
            self.job.extend(confirm_replacement(path, unused_model(plan.input)))

    def _train(self, n_samples: int) -> TrainResult:
        """Train and return the result; print the header to stdout, progress and notes to stderr."""
        job, directory = self.job, self.directory
        chunks = job.chunks
        try:
            self._prepare(chunks, n_samples)
            job = with_tried_rate(job, threads=self.request.threads, tell=note)
        except KeyboardInterrupt as signal:
            step = f"at step {job.resume.step}" if job.resume else "before the first step"
            raise type(signal)(f"{step}; nothing was written") from None
        with TrainingProgress(job.plan) as progress, StopRequest() as stop:
            _note_data(job, chunks, quiet=self.request.as_json)
            try:
                hooks = OnEvent(progress.update), Checkpoints(self._save_checkpoint), StopWhen(stop)
                result = train_job(job, threads=self.request.threads, hooks=hooks)
            except DivergedError as error:
                progress.stop()
                say(f"error: {error} ({self._save_last_good(error.result)})")
                raise typer.Exit(1) from error
            progress.stop()
            if result.ending == "stopped":
                assert stop.reason
                raise stop.reason(self._save_interrupted(result))
            if result.ending == "until" and job.limit:
                note(
                    f"the time was over after step {result.state.step} of {result.config.steps}; "
                    f"train the rest with --resume {as_argument(directory.path)} --steps "
                    f"{result.config.steps}"
                )
            try:
                directory.finish(result)
            except CheckpointError as error:  # exit code 1, as the directory was writable before
                say(f"error: {error}{self._resume_hint()}")
                raise typer.Exit(1) from error
            if stop.reason:
                raise stop.reason(f"after the last step; the model is in {directory.path}")
            return result

    def _prepare(self, chunks: ChunkedDataset, n_samples: int) -> None:
        """Load the kernels, and let the teachers predict the targets."""
        job, plan, threads = self.job, self.job.plan, self.request.threads
        uses: list[Use] = ["training"] if threads == 1 else ["training", "threads"]
        uses += ["decoding"] if n_samples or plan.tokenizer.is_chat else []
        uses += ["evaluation"] if job.parts.validation or job.parts.test or plan.ensemble else []
        uses += ["generation"] if plan.ensemble else []
        job.extend(load_kernels(plan.engine, plan.dtype, uses=uses))
        if teachers := job.teachers:
            job.extend(load_kernels(None, *teachers.dtypes, uses=teachers.uses))
            n = len(teachers.models)
            note(f"the targets are the predictions of {f'{n} teachers' if n > 1 else 'a teacher'}")
            teachers.dataset(chunks, plan, random.Random(plan.config.seed), threads)

    def _save_checkpoint(self, plan: TrainingPlan, state: TrainState) -> None:
        """Save a checkpoint. After the first one, write errors do not end the run."""
        if self._would_replace_finished_model(state):
            return
        try:
            self.directory.keep(plan, state)
        except CheckpointError as error:
            if not self.directory.has_own_state:
                raise
            if not self._has_write_error:
                note(f"{error}; the previous checkpoint was kept")
            self._has_write_error = True

    def _would_replace_finished_model(self, state: TrainState) -> bool:
        """Return whether saving a run without any steps would replace a finished model."""
        is_new = not (state.step or state.teachers or self.directory.has_own_state)
        return is_new and has_model(self.directory.path)

    def _save_interrupted(self, result: TrainResult) -> str:
        """Save the state of an interrupted run and return the message to print."""
        directory = self.directory
        message = f"at step {result.state.step} of {result.config.steps}"
        message += result.plan.model_of(result.state)
        if self._would_replace_finished_model(result.state):
            return f"{message}; {directory.path} is unchanged"
        try:
            directory.keep(result.plan, result.state)
        except CheckpointError as error:
            message += f"; this checkpoint was not saved: {error}"
        hint = self._resume_hint()
        if hint and not has_model(directory.path):
            hint += f"; use the model so far with: {use_command(result, directory.path)}"
        return message + hint

    def _resume_hint(self) -> str:
        """Return a message suffix with the command that resumes the run, if it has a checkpoint."""
        if not self.directory.has_own_state:
            return ""
        return f"; resume with: microgpt train --resume {as_argument(self.directory.path)}"

    def _save_last_good(self, result: TrainResult) -> str:
        """Save the last good weights to DIR.diverged, and return the message to print."""
        kept = Path(f"{os.path.realpath(self.directory.path)}.diverged")
        try:
            if self.directory.has_own_state:
                self.directory.keep(result.plan, result.state, "diverged")
            save(result, kept)
        except CheckpointError as problem:
            return f"the last good weights were not saved: {problem}"
        return f"the last good weights are in {kept}"


def _n_chars(texts: Sequence[Document]) -> int:
    return sum(map(len, texts))


def _note_data(job: TrainingJob, chunks: ChunkedDataset, *, quiet: bool) -> None:
    """Print the header, unless quiet, and notes on held-out and split documents."""
    plan, parts = job.plan, job.parts
    is_stream = plan.config.text == "stream"
    what, count = ("characters", _n_chars) if is_stream else ("documents", len)
    if not quiet:
        folds = plan.tokenizer.folds
        folding = '\nfolding: case and accents ("Jörg" is read as "jorg")' if folds else ""
        unit = "chars" if is_stream else "convos" if plan.tokenizer.is_chat else "docs"
        print_or_discard(
            f"num {unit}: {count(parts.docs)}\nvocab size: {plan.tokenizer.vocab_size}\n"
            f"num params: {count_params(plan.model)}{folding}"
        )
    if job.resume:
        model = plan.model_of(job.resume)
        note(f"resuming after step {job.resume.step} of {plan.config.steps}{model}")
    if parts.validation or parts.test:
        held_out = {"validation": parts.validation, "testing": parts.test}
        sizes = [f"{count(docs)} for {use}" for use, docs in held_out.items() if docs]
        extra, n_left_out = "", len(parts.docs) - sum(map(len, (parts.train, *held_out.values())))
        if parts.gap is not None:
            n_stretches = len(parts.validation) + len(parts.test)
            extra = f"; {n_stretches} held-out stretches with gaps of {parts.gap} characters"
        elif n_left_out and not is_stream:
            extra = f"; {n_left_out} duplicates are left out"
        note(", ".join([f"{count(parts.train)} {what} for training", *sizes]) + extra)
        _note_repetition(parts)
    if chunks.n_long and not is_stream:
        n_docs, n_long = len(parts.train), chunks.n_long
        are, they = ("is", "it is") if n_long == 1 else ("are", "they are")
        note(
            f"{n_long} of {n_docs} documents {are} longer than the block size of "
            f"{chunks.block_size}; {they} split into {len(chunks) - n_docs + n_long:,} pieces"
        )


def _note_repetition(parts: Split) -> None:
    """Print a note if the training part has much of the held-out part, perhaps in another form."""
    held_out = [*parts.validation, *parts.test]
    if parts.gap is None:
        forms = [folded(doc, plain) for doc in held_out]
        known = {*forms}.intersection(folded(doc, plain) for doc in parts.train)  # few in memory
        n = sum(form in known for form in forms)
        share, what = n / len(held_out), f"{n} of the {len(held_out)} held-out documents are"
        how = "but for case, accents, spaces and invisible characters"
    else:
        share = repeated_share(held_out, parts.train)
        what, how = f"{percentage(share)} of the held-out text is", f"pieces of {PIECE} characters"
    if share >= MUCH:
        note(f"{what} in the training part, too ({how}); the losses of other text are higher")
