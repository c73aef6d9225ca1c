"""Ablation: the predictions for a text without a head or without an MLP."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.predictor import Predictor, counted_predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from microgpt.engine.compiled_model import CompiledModel

N_CHANGES = 3  # number of tokens whose probability a part raises or lowers most


@dataclass(frozen=True)
class ChangedToken:
    """The probability of a token with and without a part of the model."""

    token: int
    text: str
    probability: float
    without: float


@dataclass(frozen=True)
class Ablation:
    """The effect of switching off a head, or the MLP of a layer."""

    layer: int
    head: int | None  # None: the MLP
    bits: float  # surprise of the predictions that count in training, with the part switched on
    bits_without: float  # and switched off
    # At a position, if one is given: the actual token, and those whose probability the part
    # raises or lowers most, the largest change first.
    came: ChangedToken | None = None
    raised: tuple[ChangedToken, ...] = ()
    lowered: tuple[ChangedToken, ...] = ()


def ablations(
    gpt: Predictor, tokens: Sequence[int], position: int | None, *, has_end: bool
) -> Iterator[Ablation]:
    """Yield the effect of each head and each MLP on the predictions of all tokens but the first."""
    read, label = tokens[:-1], gpt.tokenizer.label
    counted = counted_predictions(tokens, gpt.tokenizer, gpt.step_config)
    counted[-1] *= has_end
    places = [i for i, counts in enumerate(counted) if counts] or range(len(read))

    def rows_and_bits(model: "CompiledModel") -> tuple["NDArray[np.float64]", float]:
        rows = model.activations(read).log_probabilities()
        return rows, math.fsum(bits(-rows[i, tokens[i + 1]]) for i in places)

    own, total = rows_and_bits(gpt.compiled)
    for layer, head in product(range(gpt.config.n_layer), [*range(gpt.config.n_head), None]):
        rows, without = rows_and_bits(gpt.compiled.without(layer, head))
        if position is None:
            yield Ablation(layer, head, total, without)
            continue
        at = position % len(read)
        pairs = zip(map(math.exp, own[at]), map(math.exp, rows[at]), strict=True)
        changes = [ChangedToken(token, label(token), *pair) for token, pair in enumerate(pairs)]
        order = sorted(changes, key=lambda one: one.without - one.probability)
        raised = [one for one in order[:N_CHANGES] if one.probability > one.without]
        lowered = [one for one in order[: -N_CHANGES - 1 : -1] if one.probability < one.without]
        came = changes[tokens[at + 1]]
        yield Ablation(layer, head, total, without, came, tuple(raised), tuple(lowered))
