"""What is left of a training step when its micro-batches were worked on in several threads.

A line of memory that one core has read is slow to write for another: each has to be taken back
first. So what threads hand one another is written past the caches, to arrays that their writer does
not read.
"""

from microgpt.engine.jit import EntryPoint, inlined
from microgpt.engine.kernels import layers
from microgpt.engine.kernels.adam import adam, squares_are_finite
from microgpt.engine.kernels.layers import clear
from microgpt.engine.settings import StepSettings
from microgpt.engine.simd.vector import Array, fence, lanes, load, store, stream


@EntryPoint
def add(part: Array, grads: Array) -> None:
    """Add the gradients that another thread has handed over: (rows, columns)."""
    for i in range(part.shape[0]):
        for j in range(0, part.shape[1], lanes(part)):
            store(grads, i, j, load(grads, i, j) + load(part, i, j))


@EntryPoint
def add_and_clear(own: Array, grads: Array) -> None:
    """Add gradients of the same thread, and clear them where they come from."""
    layers.add_and_clear(own, grads)


@EntryPoint
def hand_over(own: Array, part: Array) -> None:
    """Copy gradients to where another thread reads them, and clear them where they come from."""
    _publish(own, part)
    clear(own, own.shape[1])


@EntryPoint
def update(
    params: Array,
    grads: Array,
    adam_m: Array,
    adam_v: Array,
    n_steps: int,
    lr: float,
    settings: StepSettings,
    for_readers: Array,
    progress: Array,
) -> bool:
    """Take a step, unless a gradient is not finite; return whether.

    For the arguments see `adam` and, for progress, `take_steps`. The other threads read the
    weights in for_readers.
    """
    if not squares_are_finite(grads):
        return False
    adam(params, grads, adam_m, adam_v, n_steps, lr, settings)
    clear(grads, grads.shape[1])
    _publish(params, for_readers)
    progress[0], progress[1], progress[2] = n_steps, 0, 0
    return True


@inlined
def _publish(x: Array, for_others: Array) -> None:
    """Copy x past the caches, to be read by other threads."""
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            stream(for_others, i, j, load(x, i, j))
    fence()
