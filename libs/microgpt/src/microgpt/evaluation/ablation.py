"""What a head or an MLP is for: the predictions of a text without it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.predictor import Predictor

N_CHANGES = 3  # number of tokens whose probability a part raises or lowers most


@dataclass(frozen=True)
class Change:
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
    bits: float  # the total surprise without it; see `Explanation.bits`
    # At a position, if one is given: the token that came, and those whose probability the part
    # raises or lowers most, the largest change first.
    came: Change | None = None
    raised: tuple[Change, ...] = ()
    lowered: tuple[Change, ...] = ()


def ablation(
    gpt: Predictor,
    tokens: Sequence[int],
    layer: int,
    head: int | None,
    position: int | None,
    *,
    has_end: bool,
) -> Ablation:
    """Return the effect on the predictions of all tokens but the first; see `explain`."""
    read = tokens[:-1]
    rows = gpt.compiled.without(layer, head).activations(read).log_probabilities()
    scored = rows[range(len(read)), tokens[1:]].tolist()[: None if has_end else -1]
    total = math.fsum(bits(-each) for each in scored)
    if position is None:
        return Ablation(layer, head, total)
    place = position % len(read)
    own = gpt.compiled.activations(read).log_probabilities(place)[0]
    pairs = [(math.exp(a), math.exp(b)) for a, b in zip(own, rows[place], strict=True)]
    order = sorted(range(len(pairs)), key=lambda token: pairs[token][1] - pairs[token][0])

    def changes(chosen: Sequence[int], sign: int) -> tuple[Change, ...]:
        found = (Change(token, gpt.tokenizer.label(token), *pairs[token]) for token in chosen)
        return tuple(one for one in found if sign * (one.probability - one.without) >= 0)

    (came,) = changes([tokens[place + 1]], 0)
    raised, lowered = changes(order[:N_CHANGES], 1), changes(order[: -N_CHANGES - 1 : -1], -1)
    return Ablation(layer, head, total, came, raised, lowered)
