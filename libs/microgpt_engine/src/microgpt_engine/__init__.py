"""Compiled engine: the model on NumPy arrays, compiled with Numba.

    engine            what `microgpt.training.engines` finds by the entry point
    trainer           training steps; on several threads: threaded_trainer
    compiled_model    inference, used by `InferenceGpt`
    decoder           batched sampling with a KV cache
    machine_code      load kernels, and compile them on first use
    preparation       load or compile all kernels       wasm       kernels as WebAssembly
    kernel_settings   settings of the model and of training, for the kernels
    weights           all weights in one array          buffers    all other arrays
    random_numbers    fast `random.Random`
    kernels/          the operations of a model and their gradients, optimizers, sampling
    simd/             SIMD vectors, reductions within a vector, matrix tiles
    compiler          compile kernels with Numba

Only `kernels`, the modules of `simd` and `compiler` import Numba, and only to compile.
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

Layout: see above. See docs/engine.md#the-work. The tests compare this engine with the reference
engine.
"""

from microgpt_engine import machine_code as machine_code  # first: hashes the sources
