"""Compiled engine: the model on NumPy arrays, compiled with Numba.

    engine            the entry point that `microgpt.training.engines` loads
    trainer           training steps
    threaded_trainer  training steps on several threads
    compiled_model    inference, used by `InferenceGpt`
    decoder           batched sampling with a KV cache
    kernel_cache      the cache of compiled kernels
    preparation       loading and compilation of all kernels
    wasm              kernels as WebAssembly modules
    kernel_settings   settings of the model and of training, for the kernels
    weight_layout     all weights in one array
    buffers           all other arrays
    random_numbers    a fast equivalent of `random.Random`
    kernels/          the operations of a model and their gradients, optimizers, sampling
    simd/             SIMD vectors, reductions within a vector, matrix tiles
    compiler          compilation with Numba; `numba_internals` makes the object files

Only `kernels/`, `simd/`, `compiler` and `numba_internals` import Numba, only to compile kernels.
Each file names the layout of its arrays and a section of docs/engine.md. C = n_embd, N = tokens.

    columns   (features, N), for training and evaluation: a row per feature and a column per token;
              documents are side by side, each in adjacent columns, without padding between them
    rows      (N, features), for decoding: a row per token and a column per feature
    weights   (rows, C), all matrices, stacked vertically: C numbers per token, position or output

The numbers of a row are adjacent in memory. Rows are padded to whole vectors. Numbers are float32
or float64; tokens, positions and starts of documents are int64. A gradient has the layout of its
value. Losses are in nats.

docs/engine.md#the-work describes the engine. Tests compare it with the reference engine.
"""

from microgpt_engine import kernel_cache as kernel_cache  # it hashes the sources before they load
