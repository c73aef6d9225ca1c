"""The model on arrays, compiled: the second engine, for all that has to be fast.

    jit         compile kernels and cache the machine code on disk
    simd/       vectors in registers, sums within a vector, tiles of matrices
    kernels/    matrix products, attention, layers, loss, dropout, Adam, forward pass
    training/   training steps, in one thread or several
    decoding/   sampling many sequences at once, with a KV cache
    inference   a trained model, as `InferenceGpt` uses it
    weights     all weights in one array    buffers    all activations
    mersenne    random numbers in bulk      threads    a thread pool

It is held to the reference engine by tests, loss by loss and gradient by gradient.
docs/performance.md tells how it works.
"""

from microgpt.engine import jit as jit  # first: it hashes the others as they are now
