"""Train a model on documents; train that of a job, with a time limit or trials of rates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import cbrt, inf
from typing import Any

from microgpt.config import Given, TrainConfig
from microgpt.data.contamination import mark, recorded_facts
from microgpt.data.split import Split, split, split_again
from microgpt.data.tokenizer import AnyDocument, Tokenizer
from microgpt.errors import DataError
from microgpt.model_config import ModelConfig
from microgpt.plugins import Tell
from microgpt.replies import prepare_replies
from microgpt.state import TrainedModel, TrainResult, TrainState
from microgpt.training.budget import Deadline
from microgpt.training.choice import RATIO, TRIALS, WARMUP
from microgpt.training.distillation import Teachers
from microgpt.training.engines import default_engine
from microgpt.training.hooks import Hook
from microgpt.training.inheritance import data_of
from microgpt.training.loop import DivergedError, TrainingLoop
from microgpt.training.planning import TrainingJob, plan_training

# Trials of learning rates for fine-tuning.
TOLERANCE = 0.01  # a lower rate forgets less: it may have a held-out loss that is so much higher
CLEAR = 0.1  # a highest rate whose loss is so much lower than that of the next is kept


def train(
    docs: Iterable[AnyDocument] | Split,
    *,
    model: ModelConfig | None = None,
    config: TrainConfig | None = None,
    tokenizer: Tokenizer | None = None,
    threads: int = 1,
    parent: TrainedModel | None = None,
    teachers: Sequence[TrainedModel] | Teachers = (),
    resume: TrainState | None = None,
    hooks: Sequence[Hook] = (),
) -> TrainResult:
    """Train a model on documents and return the result.

    Args:
        docs: texts or conversations from `load_text` or `load_conversations`, or a `Split` of them.
            With a `Split`, the validation loss is measured 20 times; the result has the weights
            with the lowest validation loss, and their test loss. By default, the documents of the
            parent or a teacher are split as in its training.
        model: defaults to the shape of the parent, or to one that suits the documents. Its
            vocab_size is set from the tokenizer.
        config: by default, suits the documents; with a model or a parent, Karpathy's. Its dtype
            defaults to that of `resume` or `parent`, or to float32; the reference engine uses
            float64. A subclass with its own `lr_at` is not recorded; pass it again to resume.
        tokenizer: defaults to that of the parent, extended by new characters, or of the teachers,
            or to one that suits the documents.
        threads: number of threads of the compiled engine; it does not affect the result.
        parent: model to fine-tune. New tokens get random weights.
        teachers: models whose mean probabilities are the targets, instead of the next tokens. The
            context of the student defaults to theirs.
        resume: checkpoint of a run with the same documents and settings, which it does not contain.
            Only the number of steps may differ; the learning rate then falls to 0 by the new one.
        hooks: what observes the training or stops it, such as `OnEvent`, `Checkpoints` and
            `StopWhen`, or your own `Hook`.

    The first use of the compiled engine compiles it, which takes about ten seconds;
    `engines.prepare_engine` does this in advance.

    Raises:
        ConfigError: the settings contradict one another, or there is not enough memory.
        DataError: there are no documents.
        TokenizerError: a training document has a character that is not in the vocabulary.
        DivergedError: the loss or a gradient became NaN or infinite.

    Examples:
        >>> from microgpt import TrainConfig
        >>> result = train(["anna", "emma"], config=TrainConfig(steps=10))
        >>> len(result.losses)
        10
    """
    engine = (config.engine if config else None) or default_engine()
    dtype = config.dtype if config else None
    together = teachers if isinstance(teachers, Teachers) else Teachers(teachers)
    taught = together if together.models else None
    sets = docs if isinstance(docs, Split) else split(docs)
    if not sets.docs:
        raise DataError("there are no documents to train on")
    sources = [each for each in (parent, taught) if each]
    if sets is not docs and (facts := recorded_facts(sets.docs, data_of(sources))):
        sets = split_again(sets.docs, facts[0])
    dtype = dtype or (resume.dtype if resume else None)
    given: Given = {"engine": engine, "dtype": dtype, "threads": threads}
    extra: Mapping[str, Any] = {}
    if not (model or config or tokenizer or sources or sets.validation or sets.test):
        given, tokenizer, extra = prepare_replies(sets.docs, given, lambda line: None)
    job = plan_training(
        sets,
        given,
        model=model,
        config=config,
        tokenizer=tokenizer,
        extra=extra,
        parent=parent,
        teachers=taught,
    )
    return train_job(replace(job, resume=resume), threads=threads, hooks=hooks)


def train_job(job: TrainingJob, *, threads: int = 1, hooks: Sequence[Hook] = ()) -> TrainResult:
    """Train the model of a job, in time if it has a limit; see `train` for the arguments."""
    if not job.limit:
        return TrainingLoop(job, threads, hooks).run()
    deadline = Deadline(job, None if job.resume else job.place.n_models)
    result = TrainingLoop(job, threads, (*hooks, deadline)).run()
    if deadline.steps is None:
        return result
    job = job.with_steps(deadline.steps)
    return TrainingLoop(job, threads, (*hooks, Deadline(job, None))).run()


def with_tried_rate(
    job: TrainingJob, *, threads: int = 1, tell: Tell = lambda line: None
) -> TrainingJob:
    """Return a job with the learning rate that its trials recommend, if it has trials.

    It is the lowest rate whose held-out loss is within TOLERANCE of the lowest loss, divided by the
    cube root of the length of the training in trials, unless the highest rate is better by CLEAR.
    """
    config, n = job.plan.config, job.choice.trial_steps if job.choice else 0
    if not n or not config.lr:
        return job
    tell(f"trying {TRIALS} learning rates, {n} steps each")
    rates = [config.lr / RATIO**i for i in reversed(range(TRIALS))]
    losses = {rate: _held_out_loss(job, rate, n, threads) for rate in rates}
    found = next(r for r in rates if losses[r] <= (1 + TOLERANCE) * min(losses.values()))
    is_clear = losses[rates[-2]] > (1 + CLEAR) * losses[rates[-1]]
    chosen = float(f"{found * (1 if is_clear else cbrt(n / config.steps)):.2g}")
    tried = ", ".join(f"{loss:.4f} with {rate:.2g}" for rate, loss in losses.items())
    tried += mark(job.plan.contamination.get("validation", 0.0))
    tell(f"learning rate {chosen:g}, because of the held-out losses after {n} steps: {tried}")
    return replace(job, plan=replace(job.plan, config=replace(config, lr=chosen)))


def _held_out_loss(job: TrainingJob, rate: float, n: int, threads: int) -> float:
    """Return the lowest held-out loss of a trial of n steps; infinity if it diverges."""
    config = job.plan.config
    evaluations = max(1, config.evaluations * n // config.steps)
    config = replace(config, lr=rate, steps=n, warmup_steps=n // WARMUP, evaluations=evaluations)
    # The rate does not depend on the documents that are left out.
    plan, sets = replace(job.plan, config=config), replace(job.sets, test=())
    try:
        trial = TrainingLoop(replace(job, plan=plan, sets=sets, limit=None), threads)
        return trial.run().val_loss or inf
    except DivergedError:
        return inf
