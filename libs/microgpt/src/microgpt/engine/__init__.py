"""Compiled engine: the model on NumPy arrays, compiled with Numba.

    machine_code     load kernels, and compile them on first use
    compiler         compile kernels with Numba          processor    its vectors
    simd/            SIMD vectors, reductions within a vector, matrix tiles
    kernels/         matrix products, attention, layers, loss, dropout, optimizers, forward pass
    training/        training steps on one or more threads
    decoding/        batched sampling with a KV cache
    compiled_model   compiled inference, used by `InferenceGpt`
    architecture     settings of the architecture for the kernels
    weights          all weights in one array    buffers    all activations
    mersenne         fast `random.Random`        threads    thread pool

The tests compare this engine with the reference engine. See docs/performance.md for the design.
"""

from microgpt.engine import machine_code as machine_code  # first: hashes the sources
