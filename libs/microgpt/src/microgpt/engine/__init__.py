"""The compiled engine: the model on arrays, in machine code.

    jit              compile kernels and cache the machine code on disk
    simd/            vectors in registers, sums within a vector, tiles of matrices
    kernels/         matrix products, attention, layers, loss, dropout, Adam, forward pass
    training/        training steps, in one thread or several
    decoding/        sampling many sequences at once, with a KV cache
    compiled_model   a trained model, as `InferenceGpt` uses it
    weights          all weights in one array    buffers    all activations
    mersenne         random numbers in bulk      threads    a thread pool

Tests compare it with the reference engine; docs/performance.md says how it works.
"""

from microgpt.engine import jit as jit  # first: it hashes the others as they are now
