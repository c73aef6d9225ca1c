"""The optimizer, for `ReferenceEngine.update`, on all weights at once, wherever they stand."""

from microgpt.engine.jit import kernel
from microgpt.engine.settings import StepSettings
from microgpt.engine.simd.lanes import total
from microgpt.engine.simd.vector import Array, lanes, load, splat, square_root, store


@kernel
def adam(
    params: Array,
    grads: Array,
    m: Array,
    v: Array,
    n_steps: int,
    lr: float,
    settings: StepSettings,
) -> None:
    """Move each weight against its gradient, and towards 0 (Loshchilov & Hutter 2019, alg. 2).

    The arrays are of one shape, (rows, whole vectors); n_steps counts this step too.
    """
    beta1, beta2, eps = settings.beta1, settings.beta2, settings.eps
    kept = 1 - lr * settings.weight_decay
    lr_by_bias = lr / (1 - beta1**n_steps)  # the means start at 0: too small by this factor
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
    """Return whether no number, nor its square, is nan or infinite: (rows, whole vectors).

    The square, because `adam` keeps it: a mean that has once been infinite stays it.
    """
    zeros = splat(x, 0)  # 0 times anything else is nan, and stays
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            xij = load(x, i, j)
            zeros = zeros + 0.0 * (xij * xij)
    return bool(total(zeros) == 0)
