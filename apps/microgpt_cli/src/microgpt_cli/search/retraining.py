"""Repeat a recorded training run with other seeds, or without some documents, in parallel."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path
from threading import Event

from microgpt.amounts import count, duration
from microgpt.errors import CheckpointError
from microgpt.inference import InferenceGpt
from microgpt.storage.saved_model import SavedModel
from microgpt.training.engines import BYTES_PER_PROBABILITY, bytes_needed
from microgpt.training.ensemble_training import n_soft_targets, train_job
from microgpt.training.planning import TrainingJob
from microgpt_cli.search.experiment import open_pool
from microgpt_cli.search.options import SweepOptions
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import load_kernels, with_progress
from microgpt_cli.training.job import Sources
from microgpt_cli.training.recorded_runs import Repetition


def recorded(
    directory: Path, data: Path | None, parent: Path | None
) -> tuple[SavedModel, TrainingJob]:
    """Return a model and the job that trains it again; refuse an unfinished run.

    Args:
        data, parent: current paths of the documents and the parent, if they have been moved.
    """
    again = Repetition(directory, directory, True, Sources(data, parent), None)
    job = again.job()
    if not again.model:
        how = "complete it with `microgpt train --resume`"
        raise CheckpointError(f"the training run in {directory} is unfinished; {how}")
    return again.model, job


def other_seeds(job: TrainingJob, n: int) -> list[Mapping[str, int]]:
    """Return the variations of a job with the n seeds after its own; see `TrainingJob.varied`."""
    return [{"seed": job.plan.seed + i} for i in range(1, n + 1)]


def retrained(
    saved: SavedModel,
    job: TrainingJob,
    variations: Sequence[Mapping[str, object]],
    measure: Callable[[InferenceGpt], float],
    workers: int | None,
) -> list[float]:
    """Return the measured values of the retrained models; print the expected time and progress."""
    jobs = [job.varied(**each) for each in variations]  # type: ignore[arg-type]
    plan, n, stop = job.plan, len(jobs), Event()

    def work(varied: TrainingJob) -> float:
        result = train_job(varied, should_stop=stop.is_set)
        return measure(InferenceGpt(result, engine=result.plan.engine))

    load_kernels(plan.engine, plan.dtype, uses=["training", "evaluation", "generation"])
    chunks = job.chunks
    settings = plan.engine, plan.dtype, plan.model, plan.config
    n_bytes = bytes_needed(*settings, longest=chunks.longest)
    n_bytes += n_soft_targets(plan, chunks) * plan.model.vocab_size * BYTES_PER_PROBABILITY
    with open_pool(SweepOptions(workers=workers), n_trials=n, trial_bytes=n_bytes) as pool:
        k, seconds = min(n, pool.n_workers()), saved.meta.training.get("seconds", 0.0)
        note(
            f"{count(n, 'training run')} of about {duration(seconds)}, {k} at a time: about "
            f"{duration(ceil(n / k) * seconds)}"
        )
        try:
            return [*with_progress(pool.executor().map(work, jobs), n, "training runs")]
        finally:
            stop.set()  # of those that run if one has failed, or at Ctrl-C
