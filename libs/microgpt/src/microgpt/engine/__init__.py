"""The model on arrays, compiled: the second engine, for all that has to be fast.

    compiling   Python to machine code, kept on disk
    simd        vectors in registers        across     sums and the like within one vector
    tiles       matrix products and transposing in registers
    matmul      linear layers               layers     embedding, RMSNorm, ReLU
    attention   causal attention            loss       cross-entropy         adam     the optimizer
    weights     all weights in one array    buffers    all activations
    step        the loop over steps         compiled   the engine, as `train` uses it
    parts       what threads hand over      threaded   the engine in several threads

    kv_cache    attention to what was read  sample     the choice of a token
    sequences   texts in the making         decode     the loop that continues them
    decoder     … a moment at a time        evaluate   losses without gradients
    model       a trained model, as `InferenceGpt` uses it
    mersenne    random numbers in bulk      threads    work shared out

It is held to the reference engine by tests, loss by loss and gradient by gradient.
docs/performance.md tells how it works.
"""

from microgpt.engine import compiling as compiling  # first: it hashes the others as they are now
