"""Plan a budgeted search: its cost, its search space, and whether it trains a student."""

from collections.abc import Mapping
from typing import Any

from microgpt import (
    MAX_CONTEXT,
    MIN_CHARACTERS_PER_SUBWORD,
    VOCABULARIES,
    Choice,
    ConfigError,
    Fitting,
    Given,
    Split,
    TextKind,
    TimeLimit,
    choose_settings,
    in_short,
    n_generated,
)
from microgpt_evolution.genome import BUDGETED_GENES, VALUES, Genome, Space
from microgpt_evolution.objectives.rung_objective import STUDENT_LENGTH, RungObjective
from microgpt_evolution.strategies.surrogate_search import SMALLEST
from microgpt_evolution.study_settings import BudgetedSettings
from microgpt_evolution.trial import EVALUATIONS

MAX_SHARE = 1 / 8  # fraction of the budget that a complete training run can use
MAX_RUNS = 200  # maximum number of complete training runs; more would overfit the validation set
MAX_STUDENT_SHARE = 1 / 3  # maximum fraction of a worker's budget for training a student
N_TEACHERS = 6  # maximum number of organisms that teach the student
MAX_TARGETS = 2**28  # maximum size of the teachers' predictions in bytes


def plan_search(
    sets: Split,
    limits: Given,  # `minutes`, or `budget` in operations
    limit: TimeLimit | None,
    n_workers: int,
    facts: Mapping[str, Any],  # settings to record, such as the input and the seed
) -> BudgetedSettings:
    """Return the settings of a budgeted search; raise ConfigError if the budget is too small."""
    n_workers = min(SMALLEST, n_workers) if limit else 1
    single = choose_settings(
        Fitting(sets, {**limits, "text": facts["text"], "single": True}), limit
    )
    of_worker = single.budget
    assert of_worker
    budget = of_worker * n_workers
    of_run = {"text": single.config.text, "single": True, "budget": MAX_SHARE * budget}
    choice = choose_settings(Fitting(sets, of_run))
    sizes = choice.sizes
    text, length = choice.config.text, sizes.chunk_length(choice.model.block_size)
    rule = genome_of(choice, length)
    space = space_for(rule, text, sizes.n_characters)
    objective = RungObjective(sets, text, choice.operations)
    complete = objective.cost(rule, EVALUATIONS)
    is_short = STUDENT_LENGTH * complete <= MAX_STUDENT_SHARE * of_worker
    distill = N_TEACHERS if choice.is_limited and is_short else 0  # a large text gets no student
    n_samples = max(0, n_generated(choice, choice.config.steps, MAX_TARGETS)) if distill else 0
    student = objective.student_cost(rule, distill, n_samples)
    budget -= (n_workers - 1) * student  # while one worker trains the student, all others are idle
    if complete + student > budget or not objective.accepts(rule):
        raise ConfigError(
            f"{in_short(of_worker)} operations are too few for a search"
            f"{' with a student' if student else ''}; increase --minutes or --budget, or use "
            "microgpt train"
        )
    budget = min(budget, MAX_RUNS * complete + student)
    return BudgetedSettings(
        budget=float(in_short(budget)),  # rounded, so that a user can pass it as --budget
        operations=choice.operations,
        distill=distill,
        teacher_samples=n_samples,
        first=(rule,),
        values=space.values,
        **facts,
    )


def genome_of(choice: Choice, length: float) -> Genome:
    """Convert a choice to a genome; `length` is the mean number of tokens per document or chunk."""
    chosen = {**vars(choice.config), **vars(choice.model), "vocab_size": choice.vocab_size or 0}
    chosen["n_tokens"] = round(choice.config.batch_size * length)
    return Genome(**{name: chosen[name] for name in BUDGETED_GENES})


def space_for(rule: Genome, text: TextKind, n_characters: int) -> Space:
    """Return the search space around `rule`, the genome that `train --minutes` would choose."""
    context = rule.block_size
    contexts = (32, 64, 128, 256) if text == "stream" else (context // 2, context, 2 * context)
    values = {**VALUES, "block_size": tuple(n for n in contexts if 8 <= n <= MAX_CONTEXT)}
    if rule.vocab_size:  # 0 if subwords do not suit the documents
        most = n_characters / MIN_CHARACTERS_PER_SUBWORD
        values["vocab_size"] = (0, *(size for size in VOCABULARIES if size <= most))
    return Space(values)
