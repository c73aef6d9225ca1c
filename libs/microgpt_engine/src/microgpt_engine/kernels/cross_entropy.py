"""Cross-entropy loss and its gradient.

Layout: columns; the logits have a row per token of the vocabulary and a column per prediction.
Losses are in nats. See docs/engine.md#vectors. Shapes: V = vocab_size, N = columns.
"""

from microgpt_engine.buffers import Buffers
from microgpt_engine.compiler import inlined
from microgpt_engine.kernels.log import log
from microgpt_engine.simd.vector import Array, exp, lanes, larger, load, splat, store


@inlined
def token_losses(b: Buffers, N: int, losses: Array) -> None:
    """Set losses (N) to -log(softmax(logits)[target]) for each column, or 0 if it is masked."""
    logits, norms = b.logits, b.logit_norms
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
            loss = log(norms[1, m]) + (norms[0, m] - logits[b.targets[m], m])
            losses[m] = b.counted[0, m] * loss


@inlined
def add_softmax(b: Buffers, N: int, share: float, probabilities: Array) -> None:
    """Replace the logits with share * softmax(logits), and add these to probabilities (≥ N, V).

    `token_losses` must have set the norms.
    """
    logits, norms = b.logits, b.logit_norms
    for n in range(0, N, lanes(logits)):
        scale = share / load(norms, 1, n)
        for i in range(logits.shape[0]):
            store(logits, i, n, exp(load(logits, i, n) - load(norms, 0, n)) * scale)
    for n in range(N):
        for i in range(logits.shape[0]):
            probabilities[n, i] += logits[i, n]


@inlined
def cross_entropy(b: Buffers, soft_targets: Array, N: int, weight: float) -> float:
    """Return weight * sum(-target . log(softmax(logits))); replace the logits with the gradient.

    The gradient is weight * counted * (softmax(logits) - target). A target is a distribution: a row
    of soft_targets (predictions, V), or one_hot(token) if these have no rows.
    """
    logits, norms = b.logits, b.logit_norms
    V, step = logits.shape[0], lanes(logits)
    loss = 0.0
    for n in range(0, N, step):
        last = min(n + step, N)
        largest = load(logits, 0, n)
        for i in range(1, V):
            largest = larger(load(logits, i, n), largest)
        store(norms, 0, n, largest)
        for m in range(n, last):
            loss += b.counted[0, m] * _below_largest(b, soft_targets, m)
        total = splat(logits, 0)
        for i in range(V):
            e = exp(load(logits, i, n) - largest)
            store(logits, i, n, e)
            total = total + e
        store(norms, 1, n, total)
        scale = load(b.counted, 0, n) * weight / total
        for i in range(V):
            store(logits, i, n, load(logits, i, n) * scale)
        for m in range(n, last):
            loss += b.counted[0, m] * log(norms[1, m])
            _subtract_target(b, soft_targets, m, b.counted[0, m] * weight)
    return weight * loss


@inlined
def _below_largest(b: Buffers, soft_targets: Array, m: int) -> float:
    """Return target . (norms[0] - logits) of column m."""
    logits, peak, target = b.logits, b.logit_norms[0, m], b.targets[m]
    if soft_targets.shape[0] == 0:
        return peak - logits[target, m]  # type: ignore[no-any-return]
    total = 0.0
    for i in range(logits.shape[0]):
        total += soft_targets[target, i] * (peak - logits[i, m])
    return total


@inlined
def _subtract_target(b: Buffers, soft_targets: Array, m: int, weight: float) -> None:
    """Subtract weight * target from column m of the logits."""
    if soft_targets.shape[0] == 0:
        b.logits[b.targets[m], m] -= weight
    else:
        for i in range(b.logits.shape[0]):
            b.logits[i, m] -= weight * soft_targets[b.targets[m], i]
