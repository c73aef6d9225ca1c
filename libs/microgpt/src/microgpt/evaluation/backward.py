"""Which way a text moves each weight, and why: a training step on it, as JSON values."""

import math
from collections.abc import Sequence
from typing import Any

from microgpt.errors import PromptError
from microgpt.evaluation.edits import Edits, WeightEdit, WeightName
from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.predictor import Predictor
from microgpt.sampling import NOT_FINITE_MESSAGE

TABLES = "wte", "wpe"
WINDOW = 64  # maximum number of rows and columns of a matrix in the result


def backward(
    gpt: Predictor,
    tokens: Sequence[int],
    weight: WeightName,
    position: int | None,
    *,
    unfinished: bool = False,
) -> dict[str, Any]:
    """Return the gradients and moves of a training step on a text, as JSON values.

    `gradients` are those of the activations at the position. `weight` has a part of its matrix,
    of up to WINDOW rows and columns, and two factors per token: the gradient of the weight is
    the sum of their products.

    Raises:
        ConfigError: the model does not have the weight.
        PromptError: see `training_step`; or the model after the step predicts nothing.
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
    return {
        "loss": before / sum(step.counted),
        "bits_before": bits(before),
        "bits_after": bits(later),
        "optimizer": gpt.step_config.optimizer,
        "lr": gpt.step_config.lr,
        "counted": step.counted,
        "gradients": {key: value.tolist() for key, value in at.items()},
        "matrices": {
            key: {"gradient": _rms(step.of_weights[key]), "move": _rms(move)}
            for key, move in step.moves.items()
        },
        "weight": {
            "matrix": name,
            "row": row,
            "column": column,
            "value": gpt.weights[name][row][column],
            "gradient": float(step.of_weights[name][row, column]),
            "move": float(step.moves[name][row, column]),
            "factors": [*map(list, zip(*factors, strict=True))],
            "first": first,
            "gradients": step.of_weights[name][part].tolist(),
            "moves": step.moves[name][part].tolist(),
        },
    }


def _rms(numbers: Any) -> float:
    return float((numbers * numbers).mean() ** 0.5)
