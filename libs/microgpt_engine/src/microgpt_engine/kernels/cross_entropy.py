"""Cross-entropy loss and its gradient.

Layout: columns; the logits have a row per token of the vocabulary and a column per prediction.
Losses are in nats. See docs/engine.md#vectors. Shapes: V = vocab_size, N = columns.
"""

from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernels.log import log
from microgpt_engine.simd.vector import Array, exp, lanes, larger, load, splat, store


@kernel
def token_losses(
    logits: Array,  # (V, N)
    targets: Array,  # (N)
    counted: Array,  # (1, N), 1 if the prediction contributes to the loss, else 0
    norms: Array,  # (2, N), scratch
    N: int,
    losses: Array,  # (N)
) -> None:
    """Set losses to -log(softmax(logits)[target]) for each column."""
    V, step = logits.shape[0], lanes(logits)
    for n in range(0, N, step):
        largest = load(logits, 0, n)
        for i in range(1, V):
            largest = larger(load(logits, i, n), largest)
        store(norms, 0, n, largest)
        total = splat(logits, 0)
        for i in range(V):
            total = total + exp(load(logits, i, n) - largest)
        store(norms, 1, n, total)
        for m in range(n, min(n + step, N)):
            loss = log(norms[1, m]) + (norms[0, m] - logits[targets[m], m])
            losses[m] = counted[0, m] * loss


@inlined
def add_softmax(
    logits: Array,  # (V, N), replaced by share * softmax(logits)
    norms: Array,  # (2, N), as set by `token_losses`
    N: int,
    share: float,
    probabilities: Array,  # (at least N, V), share * softmax(logits) is added to the first rows
) -> None:
    """Add share times the probabilities of all tokens; row n is for column n of the logits."""
    for n in range(0, N, lanes(logits)):
        scale = share / load(norms, 1, n)
        for i in range(logits.shape[0]):
            store(logits, i, n, exp(load(logits, i, n) - load(norms, 0, n)) * scale)
    for n in range(N):
        for i in range(logits.shape[0]):
            probabilities[n, i] += logits[i, n]


@kernel
def cross_entropy(
    logits: Array,  # (V, N), replaced by weight * counted * (softmax(logits) - target)
    targets: Array,  # (N), tokens, or rows of soft_targets if it has any
    soft_targets: Array,  # (predictions, V), target distributions
    counted: Array,  # (1, N), 1 if the prediction contributes to the loss, else 0
    norms: Array,  # (2, N), scratch
    N: int,
    weight: float,  # weight of one token in the loss of the batch
) -> float:
    """Return weight * sum(-target . log(softmax(logits))); replace the logits with the gradient.

    A target is a distribution: a row of soft_targets, or one_hot(token).
    """
    V, step = logits.shape[0], lanes(logits)
    loss = 0.0
    for n in range(0, N, step):
        last = min(n + step, N)
        largest = load(logits, 0, n)
        for i in range(1, V):
            largest = larger(load(logits, i, n), largest)
        store(norms, 0, n, largest)
        for m in range(n, last):
            loss += _below_largest(logits, targets, soft_targets, counted, norms, m)
        total = splat(logits, 0)
        for i in range(V):
            e = exp(load(logits, i, n) - largest)
            store(logits, i, n, e)
            total = total + e
        store(norms, 1, n, total)
        scale = load(counted, 0, n) * weight / total
        for i in range(V):
            store(logits, i, n, load(logits, i, n) * scale)
        for m in range(n, last):
            loss += counted[0, m] * log(norms[1, m])
            _subtract_target(logits, targets, soft_targets, m, counted[0, m] * weight)
    return weight * loss


@inlined
def _below_largest(
    logits: Array, targets: Array, soft_targets: Array, counted: Array, norms: Array, m: int
) -> float:
    """Return counted * target . (norms[0] - logits) of column m."""
    if soft_targets.shape[0] == 0:
        return counted[0, m] * (norms[0, m] - logits[targets[m], m])  # type: ignore[no-any-return]
    total = 0.0
    for i in range(logits.shape[0]):
        total += soft_targets[targets[m], i] * (norms[0, m] - logits[i, m])
    return counted[0, m] * total  # type: ignore[no-any-return]


@inlined
def _subtract_target(
    logits: Array, targets: Array, soft_targets: Array, m: int, weight: float
) -> None:
    """Subtract weight * target from column m of the logits."""
    if soft_targets.shape[0] == 0:
        logits[targets[m], m] -= weight
    else:
        for i in range(logits.shape[0]):
            logits[i, m] -= weight * soft_targets[targets[m], i]
