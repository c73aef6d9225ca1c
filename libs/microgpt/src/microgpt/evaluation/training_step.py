"""A training step on one text: the gradients, and how far it moves each weight.

It is the first step of an optimizer, so all running means are 0. The results equal those of
`ReferenceEngine` and `MuonEngine`.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import MUON_LR_RATIO, MUON_MOMENTUM, TrainConfig
from microgpt.engine.gradients import Gradients, gradients
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation.predictor import Predictor, counted_predictions
from microgpt.model import Weights, weight_shapes
from microgpt.newton_schulz import COEFFICIENTS, N_ITERATIONS, NORM_EPS
from microgpt.sampling import NOT_FINITE_MESSAGE

Array = NDArray[Any]


class TrainingStep(NamedTuple):
    """The gradients of a text and the changes of the weights, by matrix."""

    counted: list[int]  # 1 for each prediction that counts towards the loss, else 0
    gradients: Gradients
    of_weights: dict[str, Array]  # their gradients
    moves: dict[str, Array]

    def applied_to(self, weights: Weights[float]) -> Weights[float]:
        """Return the weights after the step."""
        moved = {name: (np.array(weights[name]) + move) for name, move in self.moves.items()}
        return {name: tuple(map(tuple, rows.tolist())) for name, rows in moved.items()}


def training_step(
    gpt: Predictor, tokens: Sequence[int], *, unfinished: bool = False
) -> TrainingStep:
    """Return a step on a sequence of tokens, the last of which is only a target.

    If the text is unfinished, the last target does not count. The settings are those of the model's
    training, without warm-up, decay of the learning rate and dropout.

    Raises:
        ConfigError: the engine is the reference engine.
        PromptError: the text does not fit into the context, none of its predictions counts, or a
            gradient is not finite.
    """
    if gpt.engine == "reference":
        raise ConfigError("gradients of activations require the compiled engine")
    n, size = len(tokens) - 1, gpt.config.block_size
    if n > size:
        raise PromptError(f"a step takes up to {size} tokens, the context of the model, got {n}")
    counted = counted_predictions(tokens, gpt.tokenizer, gpt.step_config)
    counted[-1] *= not unfinished
    if not any(counted):
        raise PromptError("there is nothing to learn; add a reply, or a text")
    with np.errstate(all="ignore"):
        found = gradients(gpt.compiled.activations(tokens[:-1]), tokens, counted)
        grads = {name: found.of(name) for name in weight_shapes(gpt.config)}
        moves = {
            name: _move(name, np.array(gpt.weights[name]), each, gpt.step_config)
            for name, each in grads.items()
        }
    if not all(np.isfinite(move).all() for move in moves.values()):
        raise PromptError(NOT_FINITE_MESSAGE)
    return TrainingStep(counted, found, grads, moves)


def _move(name: str, weights: Array, grads: Array, config: TrainConfig) -> Array:
    """Return the change of a matrix by one step of AdamW or Muon."""
    is_muon = config.optimizer == "muon" and name.startswith("layer")
    lr = config.initial_lr * (MUON_LR_RATIO if is_muon else 1)
    if is_muon:
        mean = (1 - MUON_MOMENTUM) * grads
        n_rows, n_columns = grads.shape
        ahead = MUON_MOMENTUM * mean + (1 - MUON_MOMENTUM) * grads
        direction = _orthogonalized(ahead) * sqrt(max(1, n_rows / n_columns))
    else:  # both running means, corrected for their start at 0, are those of one gradient
        direction = grads / (abs(grads) + config.adam_eps)
    return -lr * (direction + config.weight_decay * weights)


def _orthogonalized(matrix: Array) -> Array:
    """Return `newton_schulz.orthogonalized(matrix)`."""
    if len(matrix) < len(matrix[0]):
        return _orthogonalized(matrix.T).T
    x: Array = matrix / (np.linalg.norm(matrix) + NORM_EPS)
    a, b, c = COEFFICIENTS
    for _ in range(N_ITERATIONS):
        gram = x.T @ x
        x = x @ (a * np.eye(len(gram)) + b * gram + c * gram @ gram)
    return x
