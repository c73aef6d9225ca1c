"""What is left of a training step when its micro-batches were worked on in several threads.

A line of memory that one core has read is slow to write for another: each has to be taken back
first. So what threads hand one another is written past the caches, to arrays that their writer does
not read; at n_embd 128 that makes a step in two threads 1.1 times as fast.
"""

from microgpt.engine.adam import adam, squares_are_finite
from microgpt.engine.compiling import EntryPoint
from microgpt.engine.layers import clear, move
from microgpt.engine.simd import Array, fence, lanes, load, splat, store, stream


@EntryPoint
def add_part(part: Array, grads: Array, is_own: bool) -> None:
    """Add the gradients of a micro-batch to those of the step: (rows, columns).

    What is the thread's own is cleared.
    """
    if is_own:
        move(part, grads)
        return
    for i in range(part.shape[0]):
        for j in range(0, part.shape[1], lanes(part)):
            store(grads, i, j, load(grads, i, j) + load(part, i, j))


@EntryPoint
def hand_over(grads: Array, part: Array) -> None:
    """Copy the gradients of a micro-batch to where another thread reads them, and clear them."""
    zero = splat(grads, 0)
    for i in range(grads.shape[0]):
        for j in range(0, grads.shape[1], lanes(grads)):
            stream(part, i, j, load(grads, i, j))
            store(grads, i, j, zero)
    fence()


@EntryPoint
def update(
    params: Array,
    grads: Array,
    adam_m: Array,
    adam_v: Array,
    n_steps: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    for_readers: Array,
) -> bool:
    """Move the weights and clear the gradients, unless one of those is not finite; return whether.

    For the arguments see `adam`.
    """
    if not squares_are_finite(grads):
        return False
    adam(params, grads, adam_m, adam_v, n_steps, lr, beta1, beta2, eps, True, for_readers)
    clear(grads, grads.shape[1])
    fence()
    return True
