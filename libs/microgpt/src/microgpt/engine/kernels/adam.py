"""AdamW on many weights at once; compiled version of `ReferenceEngine.update`.

Layout: weights; the arrays have the same shape, so matrices need not be told apart. See
docs/performance.md#a-step.
"""

from microgpt.engine.compiler import kernel
from microgpt.engine.simd.lanes import total
from microgpt.engine.simd.vector import Array, lanes, load, splat, square_root, store


@kernel
def adam(
    params: Array,  # same shape as grads, m and v; rows are padded to whole vectors
    grads: Array,
    m: Array,
    v: Array,
    n_steps: int,  # number of steps including the current one
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    """Update weights with AdamW (Loshchilov & Hutter 2019, alg. 2)."""
    kept = 1 - lr * weight_decay
    lr_by_bias = lr / (1 - beta1**n_steps)  # bias correction, because the means start at 0
    v_by_bias = 1 / (1 - beta2**n_steps)
    for i in range(params.shape[0]):
        for j in range(0, params.shape[1], lanes(params)):
            grad = load(grads, i, j)
            mean = beta1 * load(m, i, j) + (1 - beta1) * grad
            square = beta2 * load(v, i, j) + (1 - beta2) * grad * grad
            store(m, i, j, mean)
            store(v, i, j, square)
            change = lr_by_bias * mean / (square_root(square * v_by_bias) + eps)
            store(params, i, j, kept * load(params, i, j) - change)


@kernel
def squares_are_finite(x: Array) -> bool:
    """Return whether the squares of all numbers in x are finite; rows are padded to whole vectors.

    An infinite square would make the running mean in `adam` infinite for all later steps.
    """
    zeros = splat(x, 0)  # 0 times a non-finite number is NaN, which propagates to the sum
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            xij = load(x, i, j)
            zeros = zeros + 0.0 * (xij * xij)
    return bool(total(zeros) == 0)
