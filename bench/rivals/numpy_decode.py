"""NumPy contender for decode_speed.py: decodes a batch of sequences together, with a KV cache."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from job import TEMPERATURE, Job, answer


def rmsnorm(x):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5))


def prepare(job: Job):
    """Return a function that generates the sequences and returns their tokens."""
    B, T, H, L = job.batch_size, job.block_size, job.n_head, job.n_layer
    w, C = job.weights, job.weights["wte"].shape[1]
    D = C // H
    qkv = [
        np.concatenate([w[f"layer{i}.attn_w{which}"] for which in "qkv"]).T.copy() for i in range(L)
    ]
    wo, fc1, fc2 = (
        [w[f"layer{i}.{name}"].T.copy() for i in range(L)]
        for name in ("attn_wo", "mlp_fc1", "mlp_fc2")
    )
    lm_head = w["lm_head"].T.copy()
    uniforms = job.uniforms()
    keys = np.zeros((L, B, H, T, D), np.float32)
    values = np.zeros_like(keys)

    def make_up() -> np.ndarray:
        tokens = np.empty((len(uniforms), T), np.int64)
        for first in range(0, len(uniforms), B):
            token = np.full(B, job.vocab_size - 1)
            for t in range(T):
                x = rmsnorm(w["wte"][token] + w["wpe"][t])
                for i in range(L):
                    q, k, v = np.split(rmsnorm(x) @ qkv[i], 3, axis=1)
                    keys[i, :, :, t], values[i, :, :, t] = k.reshape(B, H, D), v.reshape(B, H, D)
                    scores = keys[i, :, :, : t + 1] @ q.reshape(B, H, D, 1) / np.float32(D**0.5)
                    e = np.exp(scores - scores.max(2, keepdims=True))
                    e /= e.sum(2, keepdims=True)
                    mean = e.swapaxes(2, 3) @ values[i, :, :, : t + 1]
                    x = x + mean.reshape(B, C) @ wo[i]
                    x = x + np.maximum(rmsnorm(x) @ fc1[i], 0) @ fc2[i]
                logits = (x @ lm_head) / np.float32(TEMPERATURE)
                sums = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
                share = uniforms[first : first + B, t, None] * sums[:, -1:]
                token = np.minimum((sums <= share).sum(1), job.vocab_size - 1)
                tokens[first : first + B, t] = token
        return tokens.ravel()

    return make_up


answer(prepare)
