"""The student of a budgeted search: its teachers, its cost and its training."""

from collections.abc import Sequence
from dataclasses import replace

from microgpt import Hook, Teachers, TrainResult, evaluation_operations, train
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.rung_objective import RungObjective
from microgpt_evolution.strategies.contestant import EVALUATIONS, Contestant
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings
from microgpt_evolution.trial import STUDENT, TrialRecord

STUDENT_LENGTH = 2  # steps of a student, relative to those of an organism
# Minimum mean length of a teacher's chunks, relative to the winner's. If a shorter context splits
# one document in a hundred in two, the chunks are 0.99 times as long.
MIN_LENGTH = 0.99


def students_of(study: Study[BudgetedSettings]) -> list[TrialRecord]:
    """Return the students; a search that has gone on with more operations may have several."""
    return [record for record in study.records if record.origin == STUDENT]


def student_cost(
    objective: RungObjective, genome: Genome, n_teachers: int, n_samples: int
) -> float:
    """Return the cost in operations of a student of this size and of its teachers' targets."""
    if not n_teachers:
        return 0.0
    plan, sizes = objective.plan(genome), objective.tokens(genome.vocab_size).training
    n_tokens = sizes.n_tokens + n_samples * plan.length
    teaching = evaluation_operations(plan.model, plan.length, n_tokens)
    return STUDENT_LENGTH * objective.cost(genome, EVALUATIONS) + n_teachers * teaching


def find_teachers(
    objective: RungObjective, ranked: Sequence[Contestant], n: int
) -> list[Contestant]:
    """Return up to n of the best complete organisms that can teach a model of the winner's size.

    They have its vocabulary, and chunks of nearly its length. The best of each species comes first,
    since different shapes make different errors.
    """
    species, others = dict[str, Contestant](), list[Contestant]()
    for organism in ranked:
        genome, of_best = organism.genome, ranked[0].genome
        if len(organism.losses) < EVALUATIONS or genome.vocab_size != of_best.vocab_size:
            continue
        if objective.plan(genome).length < MIN_LENGTH * objective.plan(of_best).length:
            continue
        if species.setdefault(genome.species, organism) is not organism:
            others.append(organism)
    return [*species.values(), *others][:n]


def train_student(
    objective: RungObjective,
    genome: Genome,
    seed: int,
    teachers: Teachers,
    hooks: Sequence[Hook] = (),
) -> TrainResult:
    """Train a student with the winner's genome.

    Its context is the shortest of the winner's and the teachers'. It is trained without dropout and
    weight decay, and longer than the winner.
    """
    model, config, *_ = objective.plan(genome)
    config = replace(
        config,
        seed=seed,
        dropout=0.0,
        weight_decay=0.0,
        steps=STUDENT_LENGTH * config.steps,
        warmup_steps=STUDENT_LENGTH * config.warmup_steps,
    )
    return train(
        objective.parts,
        model=replace(model, block_size=min(model.block_size, teachers.block_size)),
        config=config,
        tokenizer=objective.tokens(genome.vocab_size).tokenizer,
        teachers=teachers,
        hooks=hooks,
    )
