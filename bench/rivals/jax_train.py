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
from job import (
    BETA1,
    BETA2,
    EPS,
    LR,
    MUON_LR_RATIO,
    MUON_MOMENTUM,
    N_ITERATIONS,
    NEWTON_SCHULZ,
    QK_SCALE,
    Job,
    answer,
)


def rmsnorm(x):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def adjusted(x, cosine, sine):
    """Normalize and rotate queries or keys, of shape (B, T, n_head, head_dim)."""
    x = QK_SCALE * rmsnorm(x)
    a, b, cosine, sine = x[..., ::2], x[..., 1::2], cosine[:, None], sine[:, None]
    return jnp.stack((a * cosine - b * sine, a * sine + b * cosine), -1).reshape(x.shape)


def batch_loss(weights, inputs, targets, mask, n_head, n_layer, rotation):
    B, T = inputs.shape
    C = weights["wte"].shape[1]
    is_variant = "wpe" not in weights
    causal = jnp.tril(jnp.ones((T, T), bool))
    x = weights["wte"][inputs]
    previous = jnp.pad(jnp.roll(x, C // 2, -1), ((0, 0), (1, 0), (0, 0)))[:, :-1]
    x = rmsnorm(x + (previous if is_variant else weights["wpe"][:T]))
    for i in range(n_layer):
        qkv = rmsnorm(x) @ weights[f"qkv{i}"].T
        q, k, v = jnp.split(qkv.reshape(B, T, 3 * n_head, C // n_head), 3, axis=2)
        if is_variant:
            q, k = adjusted(q, *rotation), adjusted(k, *rotation)
        scores = jnp.einsum("bthd,bshd->bhts", q, k) / (C // n_head) ** 0.5
        probs = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), -1)
        mean = jnp.einsum("bhts,bshd->bthd", probs, v).reshape(B, T, C)
        x = x + mean @ weights[f"layer{i}.attn_wo"].T
        normed = rmsnorm(x)
        if is_variant:
            previous = jnp.pad(normed[:, :-1, : C // 2], ((0, 0), (1, 0), (0, 0)))
            normed = jnp.concatenate([previous, normed[..., C // 2 :]], -1)
        hidden = jax.nn.relu(normed @ weights[f"layer{i}.mlp_fc1"].T)
        hidden = hidden * hidden if is_variant else hidden
        x = x + hidden @ weights[f"layer{i}.mlp_fc2"].T
    x = rmsnorm(x) if is_variant else x
    log_probs = jax.nn.log_softmax(x @ weights["lm_head"].T, -1)
    picked = jnp.take_along_axis(log_probs, targets[..., None], -1)[..., 0]
    return -(picked * mask).sum() / mask.sum()


def orthogonalized(x):
    """Apply Newton-Schulz iterations to matrices of one shape, (n, rows, columns)."""
    is_wide = x.shape[1] < x.shape[2]
    x = x.mT if is_wide else x
    x = x / (jnp.sqrt((x * x).sum((1, 2), keepdims=True)) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(N_ITERATIONS):
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    return x.mT if is_wide else x


def muon_change(mean, grad):
    """Return the change of a matrix; a stack of q, k and v counts as three matrices."""
    ahead = MUON_MOMENTUM * mean + (1 - MUON_MOMENTUM) * grad
    n_rows, C = ahead.shape
    if n_rows == 3 * C:
        return orthogonalized(ahead.reshape(3, C, C)).reshape(n_rows, C)
    return orthogonalized(ahead[None])[0] * max(1, n_rows / C) ** 0.5


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    inputs, targets, mask = (
        jnp.asarray(array).reshape(job.steps, job.batch_size, -1)
        for array in job.padded(job.docs[: job.steps * job.batch_size], job.block_size)
    )
    rotation = tuple(map(jnp.asarray, job.rotation()))
    arrays = {name: jnp.asarray(matrix) for name, matrix in job.weights.items()}
    for i in range(job.n_layer):  # compute q, k and v with one matrix product
        parts = [arrays.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
        arrays[f"qkv{i}"] = jnp.concatenate(parts)

    def step(state, batch):
        weights, m, v = state
        i, *batch = batch
        loss, grads = jax.value_and_grad(batch_loss)(
            weights, *batch, job.n_head, job.n_layer, rotation
        )
        blocks = {n: w for n, w in weights.items() if n.startswith(("qkv", "layer"))}
        blocks = blocks if job.optimizer == "muon" else {}
        decay = {name: MUON_MOMENTUM if name in blocks else BETA1 for name in weights}
        m = {name: decay[name] * m[name] + (1 - decay[name]) * grads[name] for name in weights}
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
        lr = LR * (1 - i / job.steps)
        m_bias, v_bias = 1 - BETA1 ** (i + 1), 1 - BETA2 ** (i + 1)
        moved = jax.tree.map(
            lambda w, m, v: w - lr * (m / m_bias) / (jnp.sqrt(v / v_bias) + EPS), weights, m, v
        )
        for name in blocks:
            change = muon_change(m[name], grads[name])
            moved[name] = weights[name] - MUON_LR_RATIO * lr * change
        weights = moved
        return (weights, m, v), loss

    @jax.jit
    def train_all(weights):
        zeros = jax.tree.map(jnp.zeros_like, weights)
        steps = jnp.arange(job.steps, dtype=jnp.float32)
        state = weights, zeros, zeros
        return jax.lax.scan(step, state, (steps, inputs, targets, mask))[1]

    return lambda: train_all(arrays).block_until_ready()


answer(prepare)
