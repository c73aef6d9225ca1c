"""Compiled engine: the model on NumPy arrays, compiled with Numba.

    engine           what `microgpt.training.engines` finds by the entry point
    machine_code     load kernels, and compile them on first use
    compiler         compile kernels with Numba          processor    vector sizes
    preparation      load or compile all kernels         wasm         kernels as WebAssembly
    simd/            SIMD vectors, reductions within a vector, matrix tiles
    kernels/         the operations of a model and their gradients, forward pass, optimizers
    training/        training steps on one or more threads
    decoding/        batched sampling with a KV cache
    compiled_model   compiled inference, used by `InferenceGpt`
    settings         settings of the model and of training, for the kernels
    weights          all weights in one array    buffers    all other arrays of training
    mersenne         fast `random.Random`

Each file names the layout of its arrays (one of the following) and the section of
docs/engine.md that explains it. C = n_embd, N = tokens.

    columns   (features, N), for training and evaluation: a row per feature and a column per token;
              documents are side by side, each in adjacent columns, without padding between them
    rows      (N, features), for decoding: a row per token and a column per feature
    weights   (rows, C), all matrices one below the other: a row of C numbers per token,
              position or output; mlp_fc2 is transposed

The numbers of a row are adjacent in memory. Rows are padded to whole vectors. Numbers are float32
or float64; tokens, positions and starts of documents are int64. A gradient has the layout of its
value. Losses are in nats.

Layout: see above. The whole design: docs/engine.md#the-work. The tests compare this engine
with the reference engine.
"""

from microgpt_engine import machine_code as machine_code  # first: hashes the sources
