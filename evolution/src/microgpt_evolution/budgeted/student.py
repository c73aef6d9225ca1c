"""The student of a budgeted search, and the organisms that teach it."""

from collections.abc import Sequence
from dataclasses import replace

from microgpt import Teachers, TrainingJob, TrainResult, plan_training
from microgpt_evolution.budgeted.budgeted_records import BudgetedSettings
from microgpt_evolution.budgeted.genome import Contestant
from microgpt_evolution.budgeted.objective import STUDENT_LENGTH, BudgetedObjective
from microgpt_evolution.organism import training_seed

# Minimum mean length of a teacher's chunks, relative to the winner's. If a shorter context splits
# one document in a hundred in two, the chunks are 0.99 times as long.
MIN_LENGTH = 0.99


def find_teachers(
    objective: BudgetedObjective, ranked: Sequence[Contestant], n: int
) -> list[Contestant]:
    """Return up to n of the best complete organisms that can teach a model of the winner's size.

    The best of each species comes first, since different shapes make different errors.

    Args:
        ranked: organisms with a finite loss, best first.
    """
    species, others = dict[str, Contestant](), list[Contestant]()
    for organism in ranked:
        if not (organism.is_complete and _can_teach(objective, organism, ranked[0])):
            continue
        if species.setdefault(organism.genome.species, organism) is not organism:
            others.append(organism)
    return [*species.values(), *others][:n]


def student_job(
    objective: BudgetedObjective,
    settings: BudgetedSettings,
    best: Contestant,
    teachers: Sequence[TrainResult],
) -> TrainingJob:
    """Return the training run of a student with the winner's size.

    Its context is the shortest of the winner's and the teachers'. It is trained without dropout and
    weight decay, and longer than the winner, or as long as the time limit of a search allowed.
    """
    model, config = objective.settings(best.genome, training_seed(settings.seed, 0, 1))
    context = min(model.block_size, *(each.model.block_size for each in teachers))
    job = plan_training(
        objective.parts,
        {},
        model=replace(model, block_size=context),
        config=replace(
            config,
            dropout=0.0,
            weight_decay=0.0,
            steps=STUDENT_LENGTH * config.steps,
            warmup_steps=STUDENT_LENGTH * config.warmup_steps,
        ),
        tokenizer=objective.tokens(best.genome.vocab_size).tokenizer,
        teachers=Teachers(teachers, settings.teacher_samples),
    )
    config = job.plan.config.with_steps(settings.student_steps or job.plan.config.steps)
    config = replace(config, until=settings.student_until)
    return replace(job, plan=replace(job.plan, config=config))


def _can_teach(objective: BudgetedObjective, organism: Contestant, best: Contestant) -> bool:
    """Return whether an organism has the best one's vocabulary and chunks of nearly its length."""
    genome, of_best = organism.genome, best.genome
    if genome.vocab_size != of_best.vocab_size:
        return False
    plan, plan_of_best = map(objective.plan, (genome, of_best))
    return plan.length >= MIN_LENGTH * plan_of_best.length
