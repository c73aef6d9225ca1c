"""Kernels that exchange weights and gradients between threads.

See `threaded_step`, which calls them. Layout: weights, an array per micro-batch of each thread. See
docs/performance.md#sharing-work-between-threads.
"""

from microgpt.engine.compiler import inlined
from microgpt.engine.kernels.adam import squares_are_finite
from microgpt.engine.kernels.layers import add, add_and_clear, clear
from microgpt.engine.kernels.optimizer import find_directions, optimize
from microgpt.engine.simd.vector import Array, fence, lanes, load, stream
from microgpt.engine.training.workspace import OptimizerState, StepSettings


def add_grads(part: Array, grads: Array) -> None:
    """Add the published gradients `part` to `grads`; rows are padded to whole vectors."""
    add(part, grads, part.shape[0])


def add_and_clear_grads(own: Array, grads: Array) -> None:
    """Add the calling thread's gradients `own` to `grads`, then zero `own`."""
    add_and_clear(own, grads)


def publish_and_clear(own: Array, part: Array) -> None:
    """Copy the calling thread's gradients `own` to `part` for another thread, then zero `own`."""
    _publish(own, part)
    clear(own, own.shape[1])


def share_of_directions(
    state: OptimizerState, settings: StepSettings, thread: int, threads: int, scratch: Array
) -> None:
    """Compute the directions of a thread's share of the matrices; see `find_directions`."""
    find_directions(state, settings, thread, threads, scratch)


def update(
    state: OptimizerState, lr: float, settings: StepSettings, published: Array, progress: Array
) -> bool:
    """Update and publish the weights; return False if a gradient is not finite."""
    params, grads, n_steps = state.params, state.grads, int(progress[0]) + 1
    if not squares_are_finite(grads):
        return False
    optimize(state, n_steps, lr, settings)
    clear(grads, grads.shape[1])
    _publish(params, published)
    progress[0], progress[1], progress[2] = n_steps, 0, 0
    return True


@inlined
def _publish(x: Array, for_others: Array) -> None:
    """Copy x to `for_others`, an array for other threads, bypassing the caches."""
    for i in range(x.shape[0]):
        for j in range(0, x.shape[1], lanes(x)):
            stream(for_others, i, j, load(x, i, j))
    fence()
