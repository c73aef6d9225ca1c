"""The model on arrays, compiled: the second engine, for all that has to be fast.

    compiling   Python to machine code, kept on disk
    simd        vectors in registers        tiles      matrix products and transposing in registers
    matmul      linear layers               layers     embedding, RMSNorm, ReLU
    attention   causal attention            loss       cross-entropy         adam     the optimizer
    weights     all weights in one array    buffers    all activations
    step        the loop over steps         compiled   the engine, as `train` uses it
    mersenne    random numbers in bulk

It is held to the reference engine by tests, loss by loss and gradient by gradient.
docs/performance.md tells how it works.
"""
