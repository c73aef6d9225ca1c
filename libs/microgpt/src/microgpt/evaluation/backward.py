"""A training step on a text: the gradients, and how far each weight moves and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microgpt.errors import PromptError
from microgpt.evaluation.edits import Edits, WeightEdit, WeightName
from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.predictor import Predictor
from microgpt.sampling import NOT_FINITE_MESSAGE

TABLES = "wte", "wpe"
WINDOW = 64  # maximum number of rows and columns of a matrix in the result


@dataclass(frozen=True)
class MatrixStep:
    """Root mean squares of the gradients and of the moves of a matrix."""

    gradient: float
    move: float


@dataclass(frozen=True)
class WeightStep:
    """The gradient and the move of a weight, and of the part of its matrix that contains it."""

    matrix: str
    row: int
    column: int
    value: float
    gradient: float
    move: float
    factors: list[tuple[float, float]]  # per token; the gradient is the sum of their products
    first: list[int]  # row and column at which the part begins; it has up to WINDOW of each
    gradients: list[list[float]]
    moves: list[list[float]]


@dataclass(frozen=True)
class Backward:
    """The gradients and moves of a training step on a text."""

    loss: float
    bits_before: float
    bits_after: float
    optimizer: str
    lr: float | None
    counted: list[int]  # 1 for each prediction that counts towards the loss, else 0
    gradients: dict[str, list[float] | list[list[float]]]  # of activations at the position
    matrices: dict[str, MatrixStep]
    weight: WeightStep


def backward(
    gpt: Predictor,
    tokens: Sequence[int],
    weight: WeightName,
    position: int | None,
    *,
    unfinished: bool = False,
) -> Backward:
    """Return the gradients and moves of a training step on a text.

    Raises:
        ConfigError: the model does not have the weight.
        PromptError: see `training_step`; or a logit is not finite after the step.
    """
    from microgpt.evaluation.training_step import training_step

    name, row, column = weight
    Edits(weights=[WeightEdit(*weight)]).matrices_of(gpt.config)
    step = training_step(gpt, tokens, unfinished=unfinished)
    after = gpt.with_weights(step.applied_to(gpt.weights)).compiled
    before, later = (
        math.fsum(
            loss * c for loss, c in zip(each.losses([tokens]).tolist(), step.counted, strict=True)
        )
        for each in (gpt.compiled, after)
    )
    if not math.isfinite(later):
        raise PromptError(NOT_FINITE_MESSAGE)
    grads, n = step.gradients, len(tokens) - 1
    at = {} if position is None else grads.at(position % n)
    inputs, outputs = grads.factors[name]
    factors = inputs[:, column].tolist(), outputs[:, row].tolist()
    if name in TABLES:  # whose input is 1 where the row is looked up
        factors = factors[::-1]
    first = [index - index % WINDOW for index in (row, column)]
    part = tuple(slice(start, start + WINDOW) for start in first)
    gradients, moves = step.of_weights[name], step.moves[name]
    return Backward(
        loss=before / sum(step.counted),
        bits_before=bits(before),
        bits_after=bits(later),
        optimizer=gpt.step_config.optimizer,
        lr=gpt.step_config.lr,
        counted=step.counted,
        gradients={key: value.tolist() for key, value in at.items()},
        matrices={
            key: MatrixStep(_rms(step.of_weights[key]), _rms(move))
            for key, move in step.moves.items()
        },
        weight=WeightStep(
            *weight,
            value=gpt.weights[name][row][column],
            gradient=float(gradients[row, column]),
            move=float(moves[row, column]),
            factors=[*zip(*factors, strict=True)],
            first=first,
            gradients=gradients[part].tolist(),
            moves=moves[part].tolist(),
        ),
    )


def _rms(numbers: Any) -> float:
    return float((numbers * numbers).mean() ** 0.5)
