"""The compiled engine: the model on arrays, as machine code.

    jit              compile kernels and cache the machine code on disk
    simd/            vectors in registers, sums within a vector, tiles of matrices
    kernels/         matrix products, attention, layers, loss, dropout, Adam, forward pass
    training/        training steps, in one thread or several
    decoding/        batched sampling with a KV cache
    compiled_model   a trained model, for `InferenceGpt`
    weights          all weights in one array    buffers    all activations
    mersenne         random numbers in bulk      threads    a thread pool

Tests compare it with the reference engine; docs/performance.md explains it.
"""

from microgpt.engine import jit as jit  # first, to hash the sources of the others before import
