"""Cross-entropy loss and its gradient.

See `matmul` for the layout. Shapes: V = vocab_size, N = columns.
"""

import math

from microgpt.engine.compiler import kernel
from microgpt.engine.simd.vector import Array, exp, lanes, larger, load, splat, store


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
            loss = math.log(norms[1, m]) + (norms[0, m] - logits[targets[m], m])
            losses[m] = counted[0, m] * loss


@kernel
def cross_entropy(
    logits: Array,  # (V, N), replaced by weight * counted * (softmax(logits) - one_hot(targets))
    targets: Array,  # (N)
    counted: Array,  # (1, N), 1 if the prediction contributes to the loss, else 0
    norms: Array,  # (2, N), scratch
    N: int,
    weight: float,  # weight of one token in the loss of the batch
) -> float:
    """Return weight * sum(-log(softmax(logits)[target])); replace the logits with the gradient."""
    V, step = logits.shape[0], lanes(logits)
    loss = 0.0
    for n in range(0, N, step):
        last = min(n + step, N)
        largest = load(logits, 0, n)
        for i in range(1, V):
            largest = larger(load(logits, i, n), largest)
        store(norms, 0, n, largest)
        for m in range(n, last):
            loss += counted[0, m] * (norms[0, m] - logits[targets[m], m])
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
            loss += counted[0, m] * math.log(norms[1, m])
            logits[targets[m], m] -= counted[0, m] * weight
    return weight * loss
