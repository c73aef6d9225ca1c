"""Choose an ensemble for a budget: teachers with different seeds, and their student.

A small text is soon memorised, so one model cannot use a large budget. Several models make
different errors, so a student of their mean predictions is better than any of them (Hinton, Vinyals
& Dean 2015). The rule was fitted with bench/ensembles.py (docs/measurements/choice.md).
"""

from dataclasses import replace
from typing import NamedTuple

from microgpt.config import TrainConfig, default_lr
from microgpt.settings import Settings
from microgpt.state import Ensemble
from microgpt.training.choice import WARMUP, Choice, has_steps, useful_operations
from microgpt.training.fitting import Fitting, rounded
from microgpt.training.operations import evaluation_operations, step_operations

LEAST = 2.0  # times the operations that a single model can use; with fewer, it is as good
STUDENT_SHARE = 0.35  # of the operations; the rest is that of the teachers
MOST_TEACHERS = 8  # one more lowers the loss by less than another seed does
MAX_STUDENT = 4.0  # operations of the student, times those that a single model can use
SAMPLES_PER_TEXT = 6  # tokens of the documents that the teachers make up, per token of the text
MAX_TARGETS = 2**30  # maximum size of their predictions, in bytes


class Place(NamedTuple):
    """The place of a model in the training of an ensemble; the default is a model without one."""

    name: str = ""  # such as "teacher 2 of 6"
    steps_before: int = 0  # of all models together
    steps_after: int = 0
    # Cost of all models as a multiple of that of this one, which has to measure it; else None.
    n_models: float | None = 1.0


def with_ensemble(fitting: Fitting, choice: Choice) -> Choice:
    """Return the settings of an ensemble if a preset requests one or the budget justifies it.

    Otherwise, return the settings unchanged.
    """
    if not _is_possible(fitting, choice):
        return choice
    given = fitting.given
    n_teachers = given.get("n_teachers", 0)
    if n_teachers and not given.get("budget"):
        teacher = replace(choice.config, lr=choice.config.lr or default_lr(choice.model.n_embd))
        steps = round(given.get("student_length", Settings.student_length) * teacher.steps)
        n_samples = n_made_up(choice, steps)
        ensemble = Ensemble(n_teachers, n_samples, replace(teacher, until=None), steps)
        return choice._replace(config=_student(teacher, steps), ensemble=ensemble)
    budget, useful = choice.budget, useful_operations(choice.sizes)
    if budget is None or budget < LEAST * useful:
        return choice
    of_teachers = (1 - STUDENT_SHARE) * budget
    n = min(MOST_TEACHERS, max(2, int(of_teachers / useful)))
    if speed := choice.operations_per_s:  # the text is encoded for each model
        left = rounded(max(1.0, budget - n * fitting.encoding_s(choice) * speed))
        slower = choice._replace(budget=left, operations_per_s=None)
        return with_ensemble(fitting, slower)._replace(operations_per_s=speed)
    found = _for_budget(fitting, choice, n, min(useful, of_teachers / n))
    if found and found.ensemble and n_teachers:
        return found._replace(ensemble=replace(found.ensemble, n_teachers=n_teachers))
    return found or choice


def _is_possible(fitting: Fitting, choice: Choice) -> bool:
    """Return whether the settings and the kind of data allow an ensemble."""
    given = fitting.given
    has_budget = given.get("minutes") or given.get("budget")
    return bool(has_budget or given.get("n_teachers")) and not (
        given.get("single")
        or given.get("genome")
        or fitting.parent
        or fitting.teachers
        or choice.tokenizer.is_chat  # teachers cannot make up conversations
        or fitting.engine == "reference"
        or (has_steps(given) and not given.get("n_teachers"))
        or n_made_up(choice, 1) < 0
    )


def _for_budget(fitting: Fitting, whole: Choice, n: int, of_teacher: float) -> Choice | None:
    """Return the settings of n teachers and a student; None if the budget is too small."""
    one, budget = fitting.for_budget(of_teacher), whole.budget or 0.0
    model, teacher, sizes = one.model, replace(one.config, until=None), one.sizes
    length = sizes.chunk_length(model.block_size)
    per_step = step_operations(model, teacher, length)
    of_teachers = n * one.operations
    evaluations = one.operations - teacher.steps * per_step
    left = min(budget - of_teachers, MAX_STUDENT * useful_operations(sizes)) - evaluations
    n_samples = n_made_up(one, int(left / per_step))
    made_up = max(0, n_samples) * length
    predictions = evaluation_operations(model, length, n * (sizes.n_tokens + made_up) + made_up)
    steps = int((left - predictions) / per_step)
    if n_samples < 0 or steps < teacher.steps / n:
        return None
    student = replace(_student(teacher, steps), until=one.config.until)
    spent = of_teachers + predictions + steps * per_step + evaluations
    is_limited = n == MOST_TEACHERS and spent < 0.9 * budget
    return one._replace(
        config=student,
        operations=spent,
        is_limited=is_limited,
        budget=whole.budget,
        operations_per_s=whole.operations_per_s,
        ensemble=Ensemble(n, n_samples, teacher, steps),
    )


def _student(teacher: TrainConfig, steps: int) -> TrainConfig:
    """Return the settings of a student; its soft targets are the only regularization."""
    return replace(
        teacher,
        steps=steps,
        warmup_steps=steps // WARMUP,
        dropout=0.0,
        weight_decay=0.0,
        patience=None,  # the best teacher is what its held-out loss is compared with
    )


def n_made_up(choice: Choice, steps: int, max_targets: int = MAX_TARGETS) -> int:
    """Return the number of documents that the teachers generate, at most those the student reads.

    It is negative if the predictions for the text alone would take more than max_targets bytes.
    """
    config, sizes = choice.config, choice.sizes
    length = sizes.chunk_length(choice.model.block_size)
    n_tokens = max_targets / (4 * choice.tokenizer.vocab_size) - sizes.n_tokens
    if n_tokens < 0:
        return -1
    n_tokens = min(n_tokens, SAMPLES_PER_TEXT * sizes.n_tokens)
    return min(steps * config.batch_size, int(n_tokens / length))
