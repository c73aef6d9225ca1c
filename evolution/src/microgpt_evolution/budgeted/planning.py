"""Plan a budgeted search: its budget, and the costs of a training run and of the student."""

from typing import Any

from microgpt import (
    Choice,
    ConfigError,
    Fitting,
    Split,
    Tell,
    TimeLimit,
    choose_settings,
    in_short,
    n_made_up,
)
from microgpt_evolution.budgeted.budgeted_records import BudgetedSettings
from microgpt_evolution.budgeted.genome import EVALUATIONS, genome_of, space_for
from microgpt_evolution.budgeted.objective import STUDENT_LENGTH, BudgetedObjective
from microgpt_evolution.budgeted.surrogate_search import SMALLEST
from microgpt_evolution.genome import Genome
from microgpt_evolution.runs.run_directory import facts_of
from microgpt_evolution.space import Space

MAX_SHARE = 1 / 8  # share of the budget that a complete training run may use
MAX_RUNS = 200  # maximum number of complete training runs; more would fit the validation set
MAX_STUDENT_SHARE = 1 / 3  # a student takes at most this share of the time
N_TEACHERS = 6  # number of organisms that teach a student at the end, if the text is small
# A search is not worth its operations if a single training run can use this fraction of them:
# `train` was better where it used 88 % or more, `evolve` where it used 17 % or less.
WORTH_TRAINING = 0.5
MAX_TARGETS = 2**28  # maximum size of the predictions of the teachers, in bytes


def plan_search(
    parts: Split,
    single: Choice,
    limit: TimeLimit | None,
    *,
    n_workers: int,
    space: Space | None,
    warm_start: Genome | None,
    tell: Tell,
    **recorded: Any,
) -> BudgetedSettings:
    """Return the settings of a search.

    Args:
        single: settings of one training run with the whole budget.
        limit: time limit of --minutes; all workers search until then.
        space: the user's space; None for the default one.
        tell: called with notes for the user.
        recorded: settings to record, such as the input and the seed.

    Raises:
        ConfigError: the budget is too small.
    """
    of_worker = single.budget
    assert of_worker
    n_workers = min(SMALLEST, n_workers) if limit else 1
    budget = of_worker * n_workers
    of_run = {"text": single.config.text, "single": True, "budget": MAX_SHARE * budget}
    choice = choose_settings(Fitting(parts, of_run))
    sizes = choice.sizes
    text, length = choice.config.text, sizes.chunk_length(choice.model.block_size)
    rule = genome_of(choice, length, choice.vocab_size)
    if space:
        rule = space.closest(rule)
    objective = BudgetedObjective(parts, text, choice.operations)
    complete = objective.cost(rule, EVALUATIONS)
    is_short = STUDENT_LENGTH * complete <= MAX_STUDENT_SHARE * of_worker
    distill = N_TEACHERS if choice.is_limited and is_short else 0  # none if the text is large
    n_samples = 0
    if distill and not recorded.get("chat"):
        n_samples = max(0, n_made_up(choice, choice.config.steps, MAX_TARGETS))
    student = objective.student_cost(rule, distill, n_samples)
    budget -= (n_workers - 1) * student  # only one worker can train the student
    if complete + student > budget or objective.settings(rule)[1].steps < EVALUATIONS:
        remedy = "increase --minutes or --budget, or use microgpt train"
        raise ConfigError(
            f"{in_short(of_worker)} operations are too few for a search"
            f"{' with a student' if student else ''}; {remedy}"
        )
    if budget > MAX_RUNS * complete + student:
        budget = MAX_RUNS * complete + student
        tell(f"the data are small: the search ends after {MAX_RUNS} complete training runs")
    if single.operations > WORTH_TRAINING * of_worker:
        tell(
            "a single training run of this length is expected to give a better model, because the "
            "text is large enough for it: microgpt train --minutes or --budget"
        )
    first = [rule, warm_start] if warm_start else [rule]
    if space:
        first = [*map(space.closest, first), *space.first_genomes(rule)]
    space = space or space_for(rule, text, sizes.n_characters)
    return BudgetedSettings(
        budget=float(in_short(budget)),  # can be typed
        operations=choice.operations,
        operations_per_s=single.operations_per_s,
        target=space.target,
        distill=distill,
        teacher_samples=n_samples,
        first=tuple(first),
        values=space.values,
        rates=space.rates,
        **facts_of(parts),
        **recorded,
    )
