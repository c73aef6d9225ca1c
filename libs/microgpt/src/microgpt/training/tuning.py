"""Choose the learning rate of a fine-tuning run with short trial runs."""

from dataclasses import replace
from math import cbrt, inf

from microgpt.compilation import Tell
from microgpt.data.contamination import mark
from microgpt.training.choice import RATIO, TRIALS, WARMUP
from microgpt.training.loop import DivergedError, TrainingLoop
from microgpt.training.planning import TrainingJob

TOLERANCE = 0.01  # a lower rate forgets less: it may have a held-out loss that is so much higher
CLEAR = 0.1  # a highest rate whose loss is so much lower than that of the next is kept


def with_tried_rate(
    job: TrainingJob, *, threads: int = 1, tell: Tell = lambda line: None
) -> TrainingJob:
    """Return a job with the learning rate that its trials recommend, if it has trials.

    The recommended rate is the lowest one whose held-out loss is within TOLERANCE of the lowest
    loss. If the training is longer than a trial, the rate is divided by the cube root of the ratio
    of their lengths, unless the highest rate is better by CLEAR.
    """
    config, n = job.plan.config, job.trial_steps
    if not n or not config.lr:
        return job
    tell(f"trying {TRIALS} learning rates, {n} steps each")
    rates = [config.lr / RATIO**i for i in reversed(range(TRIALS))]
    losses = {rate: _held_out_loss(job, rate, threads) for rate in rates}
    found = next(r for r in rates if losses[r] <= (1 + TOLERANCE) * min(losses.values()))
    is_clear = losses[rates[-2]] > (1 + CLEAR) * losses[rates[-1]]
    chosen = float(f"{found * (1 if is_clear else cbrt(n / config.steps)):.2g}")
    tried = ", ".join(f"{loss:.4f} with {rate:.2g}" for rate, loss in losses.items())
    tried += mark(job.plan.contamination.get("validation", 0.0))
    tell(f"learning rate {chosen:g}, because of the held-out losses after {n} steps: {tried}")
    return replace(job, plan=replace(job.plan, config=replace(config, lr=chosen)))


def _held_out_loss(job: TrainingJob, rate: float, threads: int) -> float:
    """Return the lowest held-out loss of a trial; infinity if it diverges."""
    config, n = job.plan.config, job.trial_steps
    evaluations = max(1, config.evaluations * n // config.steps)
    config = replace(config, lr=rate, steps=n, warmup_steps=n // WARMUP, evaluations=evaluations)
    # The rate does not depend on the documents that are left out.
    plan, parts = replace(job.plan, config=config), replace(job.parts, test=())
    try:
        trial = TrainingLoop(replace(job, plan=plan, parts=parts, limit=None), threads)
        return trial.run().val_loss or inf
    except DivergedError:
        return inf
