# /// script
# requires-python = ">=3.11"
# dependencies = ["jax==0.10.2", "numpy"]
# ///
"""JAX contender for train_speed.py: the whole training run is one compiled scan over the steps.

Documents are padded to the context length, because a compiled program has fixed shapes.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
from job import BETA1, BETA2, EPS, LR, Job, answer


def rmsnorm(x):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def batch_loss(weights, inputs, targets, mask, n_head, n_layer):
    B, T = inputs.shape
    C = weights["wte"].shape[1]
    causal = jnp.tril(jnp.ones((T, T), bool))
    x = rmsnorm(weights["wte"][inputs] + weights["wpe"][:T])
    for i in range(n_layer):
        qkv = rmsnorm(x) @ weights[f"qkv{i}"].T
        q, k, v = jnp.split(qkv.reshape(B, T, 3 * n_head, C // n_head), 3, axis=2)
        scores = jnp.einsum("bthd,bshd->bhts", q, k) / (C // n_head) ** 0.5
        probs = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), -1)
        mean = jnp.einsum("bhts,bshd->bthd", probs, v).reshape(B, T, C)
        x = x + mean @ weights[f"layer{i}.attn_wo"].T
        hidden = jax.nn.relu(rmsnorm(x) @ weights[f"layer{i}.mlp_fc1"].T)
        x = x + hidden @ weights[f"layer{i}.mlp_fc2"].T
    log_probs = jax.nn.log_softmax(x @ weights["lm_head"].T, -1)
    picked = jnp.take_along_axis(log_probs, targets[..., None], -1)[..., 0]
    return -(picked * mask).sum() / mask.sum()


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    inputs, targets, mask = (
        jnp.asarray(array).reshape(job.steps, job.batch_size, -1)
        for array in job.padded(job.docs[: job.steps * job.batch_size], job.block_size)
    )
    arrays = {name: jnp.asarray(matrix) for name, matrix in job.weights.items()}
    for i in range(job.n_layer):  # compute q, k and v with one matrix product
        parts = [arrays.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
        arrays[f"qkv{i}"] = jnp.concatenate(parts)

    def step(state, batch):
        weights, m, v = state
        i, *batch = batch
        loss, grads = jax.value_and_grad(batch_loss)(weights, *batch, job.n_head, job.n_layer)
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
        lr = LR * (1 - i / job.steps)
        m_bias, v_bias = 1 - BETA1 ** (i + 1), 1 - BETA2 ** (i + 1)
        weights = jax.tree.map(
            lambda w, m, v: w - lr * (m / m_bias) / (jnp.sqrt(v / v_bias) + EPS), weights, m, v
        )
        return (weights, m, v), loss

    @jax.jit
    def train_all(weights):
        zeros = jax.tree.map(jnp.zeros_like, weights)
        steps = jnp.arange(job.steps, dtype=jnp.float32)
        state = weights, zeros, zeros
        return jax.lax.scan(step, state, (steps, inputs, targets, mask))[1]

    return lambda: train_all(arrays).block_until_ready()


answer(prepare)
