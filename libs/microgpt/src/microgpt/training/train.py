"""Train a model, on documents or as planned in a `TrainingJob`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from microgpt.config import Given, TrainConfig
from microgpt.data.contamination import recorded_facts
from microgpt.data.split import Split, split, split_again
from microgpt.data.tokenizer import AnyDocument, Tokenizer
from microgpt.errors import DataError
from microgpt.model_config import ModelConfig
from microgpt.replies import prepare_replies
from microgpt.training.distillation import Teachers
from microgpt.training.engines import default_engine
from microgpt.training.fine_tuning import data_of
from microgpt.training.hooks import Hook
from microgpt.training.loop import TrainingLoop
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.time_limit import Deadline
from microgpt.training_state import TrainedModel, TrainResult, TrainState


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
            With a `Split`, the result has the weights with the lowest of about 20 validation losses
            (see `steps_between_evaluations`), and their test loss. Without one, documents on which
            the parent or a teacher was trained are split as in that training run.
        model: defaults to the shape of the parent, or to one that suits the documents. Its
            vocab_size is set from the tokenizer.
        config: by default, chosen to suit the documents; with a model or a parent, `TrainConfig()`.
            The dtype defaults to that of `resume` or `parent`, or to float32; the reference engine
            uses float64. A subclass with its own `lr_at` is not recorded; pass it again to resume.
        tokenizer: defaults to that of the parent, extended by new characters, or of the teachers,
            or to one that suits the documents.
        threads: number of threads of the compiled engine; it does not affect the result.
        parent: model to fine-tune. New tokens get random weights.
        teachers: models whose mean probabilities are the targets, instead of the next tokens. The
            context of the student defaults to the shortest context of a teacher.
        resume: checkpoint to continue from. It does not contain the documents and settings; pass
            those of its run. Only the number of steps may differ, which changes the schedule.
        hooks: objects that observe or stop the training run, such as `OnEvent`, `Checkpoints` and
            `StopWhen`, or your own `Hook`.

    The first use of the compiled engine compiles it, which takes about ten seconds;
    `engines.prepare_engine` does this in advance.

    Raises:
        ConfigError: the settings contradict one another, or there is not enough memory.
        DataError: there are no documents.
        TokenizerError: a training document has a character that is not in the vocabulary.
        DivergedError: the loss or a gradient became NaN or infinite.
    """
    engine = (config and config.engine) or default_engine()
    dtype = (config and config.dtype) or (resume and resume.dtype)
    together = teachers if isinstance(teachers, Teachers) else Teachers(teachers)
    taught = together if together.models else None
    sets = docs if isinstance(docs, Split) else split(docs)
    if not sets.docs:
        raise DataError("there are no documents to train on")
    sources = [each for each in (parent, taught) if each]
    if sets is not docs and (facts := recorded_facts(sets.docs, data_of(sources))):
        sets = split_again(sets.docs, facts[0])
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
    """Train the model of a job, within the job's time limit if there is one; see `train`."""
    if not job.limit:
        return TrainingLoop(job, threads, hooks).run()
    deadline = Deadline(job, 0 if job.resume else job.place.cost_ratio)
    result = TrainingLoop(job, threads, (*hooks, deadline)).run()
    if deadline.restart_with_steps is None:
        return result
    job = job.with_steps(deadline.restart_with_steps)
    return TrainingLoop(job, threads, (*hooks, Deadline(job, 0))).run()
