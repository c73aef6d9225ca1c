# /// script
# requires-python = ">=3.11"
# dependencies = ["jax==0.10.2", "numpy"]
# ///
"""JAX contender for decode_speed.py: the whole job is one compiled scan with a KV cache.

Shapes are fixed, so each token attends to the whole context, with a mask.
"""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
from job import TEMPERATURE, Job, answer


def rmsnorm(x):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def prepare(job: Job):
    """Return a function that generates the sequences and returns their tokens."""
    B, T, H, L = job.batch_size, job.block_size, job.n_head, job.n_layer
    w = {name: jnp.asarray(matrix) for name, matrix in job.weights.items()}
    C = w["wte"].shape[1]
    D = C // H
    uniforms = jnp.asarray(job.uniforms(), jnp.float32).reshape(job.steps, B, T)

    def read(carry, inputs):
        token, keys, values = carry
        t, uniform = inputs
        x = rmsnorm(w["wte"][token] + w["wpe"][t])
        for i in range(L):
            normed = rmsnorm(x)
            q, k, v = (
                (normed @ w[f"layer{i}.attn_w{which}"].T).reshape(B, H, D) for which in "qkv"
            )
            keys, values = keys.at[i, :, :, t].set(k), values.at[i, :, :, t].set(v)
            scores = jnp.einsum("bhd,bhtd->bht", q, keys[i]) / D**0.5
            weights = jax.nn.softmax(jnp.where(jnp.arange(T) <= t, scores, -jnp.inf))
            mean = jnp.einsum("bht,bhtd->bhd", weights, values[i]).reshape(B, C)
            x = x + mean @ w[f"layer{i}.attn_wo"].T
            hidden = jax.nn.relu(rmsnorm(x) @ w[f"layer{i}.mlp_fc1"].T)
            x = x + hidden @ w[f"layer{i}.mlp_fc2"].T
        sums = jax.nn.softmax(x @ w["lm_head"].T / TEMPERATURE).cumsum(1)
        token = jnp.minimum((sums <= uniform[:, None] * sums[:, -1:]).sum(1), job.vocab_size - 1)
        return (token, keys, values), token

    def make_up_batch(_, uniform):
        cache = jnp.zeros((L, B, H, T, D))
        start = jnp.full(B, job.vocab_size - 1)
        _, tokens = jax.lax.scan(read, (start, cache, cache), (jnp.arange(T), uniform.T))
        return None, tokens.T

    run = jax.jit(lambda uniforms: jax.lax.scan(make_up_batch, None, uniforms)[1])

    def make_up() -> np.ndarray:
        return np.asarray(run(uniforms)).ravel()

    return make_up


answer(prepare)
