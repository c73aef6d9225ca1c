"""NumPy contender for train_speed.py, with hand-written gradients per batch.

A batch is padded to its longest document. All tokens of a batch are rows of one matrix, so that
there are few NumPy calls and large matrix products.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from job import BETA1, BETA2, EPS, LR, Job, answer

F32 = np.float32


def rmsnorm(x):
    scale = 1 / np.sqrt(np.einsum("nc,nc->n", x, x)[:, None] / F32(x.shape[1]) + F32(1e-5))
    return x * scale, scale


def rmsnorm_backward(dy, y, scale):
    return scale * (dy - y * (np.einsum("nc,nc->n", dy, y)[:, None] / F32(y.shape[1])))


def split_heads(x, B, n_head):
    return x.reshape(B, -1, n_head, x.shape[1] // n_head).transpose(0, 2, 1, 3)  # (B, H, T, D)


def join_heads(x):
    B, H, T, D = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B * T, H * D)


def forward(weights, inputs, n_head, n_layer, causal):
    """Return the final activations, and the activations that the backward pass needs."""
    B, T = inputs.shape
    C = weights["wte"].shape[1]
    scale, hide = F32((C // n_head) ** -0.5), causal[:T, :T]
    embedded = rmsnorm((weights["wte"][inputs] + weights["wpe"][:T]).reshape(-1, C))
    x, saved = embedded[0], []
    for i in range(n_layer):
        a, a_scale = rmsnorm(x)
        q, k, v = (
            split_heads(part, B, n_head) for part in np.split(a @ weights[f"qkv{i}"].T, 3, axis=1)
        )
        p = q @ k.transpose(0, 1, 3, 2) * scale + hide
        p -= p.max(-1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(-1, keepdims=True)
        mean = join_heads(p @ v)
        x = x + mean @ weights[f"layer{i}.attn_wo"].T
        b, b_scale = rmsnorm(x)
        hidden = np.maximum(b @ weights[f"layer{i}.mlp_fc1"].T, 0)
        x = x + hidden @ weights[f"layer{i}.mlp_fc2"].T
        saved.append((a, a_scale, q, k, v, p, mean, b, b_scale, hidden))
    return x, embedded, saved


def cross_entropy(logits, targets, mask):
    """Return the loss, and overwrite the logits with their gradient."""
    logits -= logits.max(-1, keepdims=True)
    rows, n = np.arange(len(logits)), mask.sum()
    at_target = logits[rows, targets.ravel()]
    np.exp(logits, out=logits)
    total = logits.sum(-1, keepdims=True)
    loss = ((np.log(total[:, 0]) - at_target) * mask.ravel()).sum() / n
    logits /= total
    logits[rows, targets.ravel()] -= 1
    logits *= (mask / n).reshape(-1, 1)
    return loss


def loss_and_grads(weights, inputs, targets, mask, n_head, n_layer, causal):
    B, T = inputs.shape
    scale = F32((weights["wte"].shape[1] // n_head) ** -0.5)
    x, embedded, saved = forward(weights, inputs, n_head, n_layer, causal)
    logits = x @ weights["lm_head"].T
    loss = cross_entropy(logits, targets, mask)
    grads = {"lm_head": logits.T @ x}
    dx = logits @ weights["lm_head"]
    for i in reversed(range(n_layer)):
        a, a_scale, q, k, v, p, mean, b, b_scale, hidden = saved[i]
        grads[f"layer{i}.mlp_fc2"] = dx.T @ hidden
        dhidden = (dx @ weights[f"layer{i}.mlp_fc2"]) * (hidden > 0)
        grads[f"layer{i}.mlp_fc1"] = dhidden.T @ b
        dx = dx + rmsnorm_backward(dhidden @ weights[f"layer{i}.mlp_fc1"], b, b_scale)
        grads[f"layer{i}.attn_wo"] = dx.T @ mean
        dmean = split_heads(dx @ weights[f"layer{i}.attn_wo"], B, n_head)
        dp = dmean @ v.transpose(0, 1, 3, 2)
        dp = p * (dp - (dp * p).sum(-1, keepdims=True)) * scale
        parts = dp @ k, dp.transpose(0, 1, 3, 2) @ q, p.transpose(0, 1, 3, 2) @ dmean
        dqkv = np.concatenate([join_heads(part) for part in parts], axis=1)
        grads[f"qkv{i}"] = dqkv.T @ a
        dx = dx + rmsnorm_backward(dqkv @ weights[f"qkv{i}"], a, a_scale)
    dx = rmsnorm_backward(dx, *embedded)
    grads["wte"] = np.zeros_like(weights["wte"])
    np.add.at(grads["wte"], inputs.ravel(), dx)
    grads["wpe"] = np.zeros_like(weights["wpe"])
    grads["wpe"][:T] = dx.reshape(B, T, -1).sum(0)
    return loss, grads


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    batches = [
        job.padded(docs, min(job.block_size, max(map(len, docs)) - 1)) for docs in job.batches()
    ]
    causal = np.triu(np.full((job.block_size, job.block_size), -np.inf, F32), 1)
    initial = dict(job.weights)
    for i in range(job.n_layer):  # compute q, k and v with one matrix product
        parts = [initial.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
        initial[f"qkv{i}"] = np.concatenate(parts)

    def train() -> list[float]:
        names, shapes = list(initial), [w.shape for w in initial.values()]
        flat = np.concatenate([w.ravel() for w in initial.values()])  # Adam updates one array
        ends = np.cumsum([w.size for w in initial.values()])[:-1]
        weights = {
            name: part.reshape(shape)
            for name, shape, part in zip(names, shapes, np.split(flat, ends), strict=True)
        }
        m, v, losses = np.zeros_like(flat), np.zeros_like(flat), []
        grad, change = np.empty_like(flat), np.empty_like(flat)  # reused by every Adam step
        for i, (inputs, targets, mask) in enumerate(batches):
            loss, grads = loss_and_grads(
                weights, inputs, targets, mask, job.n_head, job.n_layer, causal
            )
            np.concatenate([grads[name].ravel() for name in names], out=grad)
            m *= F32(BETA1)
            m += np.multiply(grad, F32(1 - BETA1), out=change)
            v *= F32(BETA2)
            grad *= grad
            v += np.multiply(grad, F32(1 - BETA2), out=change)
            np.sqrt(np.multiply(v, F32(1 / (1 - BETA2 ** (i + 1))), out=change), out=change)
            change += F32(EPS)
            np.divide(m, change, out=change)
            change *= F32(LR * (1 - i / job.steps) / (1 - BETA1 ** (i + 1)))
            flat -= change
            losses.append(loss)
        return losses

    return train


answer(prepare)
