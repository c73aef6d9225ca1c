"""Cross-entropy loss and its gradient.

The layout is "columns": logits have a row per token of the vocabulary and a column per prediction.
Losses are in nats. See docs/engine.md#vectors. Shapes: V = vocab_size, N = columns.
"""

import numpy as np

from microgpt_engine.buffers import Buffers
from microgpt_engine.compiler import inlined
from microgpt_engine.simd.vector import Array, exp, lanes, larger, load, splat, store

# ln 2 = LN2_HIGH + LN2_LOW; k * LN2_HIGH is exact for any exponent k, as LN2_HIGH has few bits.
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# (log(1 + f) - 2 s) / s for s = f / (2 + f), as a polynomial in s**2 with a relative error below
# 2**-58 (Ng 1993, fdlibm's e_log.c). It is close to the series 2/3 s**2 + 2/5 s**4 + ...
C1, C2, C3 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01
C4, C5, C6 = 2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01
C7 = 1.479819860511658591e-01
ROOT_HALF = 0x3FE6A09E00000000  # the bits of a float64 just below sqrt(1/2)
MANTISSA_BITS = 52


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
    """Set the logits to share * softmax(logits), and add the result to probabilities (≥ N, V).

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

    The gradient is weight * (softmax(logits) - target). Masked columns have no loss or gradient. A
    target is a row of soft_targets (predictions, V), or one_hot(token) if soft_targets is empty.
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
    """Return target . (max(logits) - logits) of column m."""
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


@inlined
def log(x: float) -> float:
    """Return ln x in float64 for a normal x > 0, infinity or NaN, with an error below 1 ulp.

    The result has the same bits on every computer, unlike that of C libraries.

    With x = 2**k (1 + f) and sqrt(1/2) <= 1 + f < sqrt(2), log x = k ln 2 + log(1 + f). The terms
    are added from the smallest to the largest, without fused operations.
    """
    number = np.float64(x)
    if not number < np.inf:
        return number
    bits = number.view(np.int64) - ROOT_HALF
    k = np.float64(bits >> MANTISSA_BITS)
    mantissa = bits & ((1 << MANTISSA_BITS) - 1)
    f = np.int64(mantissa + ROOT_HALF).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (C2 + w * (C4 + w * C6))
    series = even + z * (C1 + w * (C3 + w * (C5 + w * C7)))
    half_square = 0.5 * f * f
    return s * (half_square + series) + k * LN2_LOW - half_square + f + k * LN2_HIGH
