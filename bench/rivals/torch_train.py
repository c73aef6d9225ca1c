# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch==2.13.0"]
# ///
"""PyTorch contender for train_speed.py: eager mode, with fused attention and fused Adam.

A batch is padded to its longest document. The padding follows the tokens, so causal attention
ignores it.
"""

import torch
import torch.nn.functional as F
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

torch.set_num_threads(1)
IGNORED = -100  # target index that F.cross_entropy ignores


def batch_loss(weights, inputs, targets, n_head: int, n_layer: int, rotation):
    B, T = inputs.shape
    C = weights["wte"].shape[1]
    is_variant = "wpe" not in weights
    x = weights["wte"][inputs] if is_variant else weights["wte"][inputs] + weights["wpe"][:T]
    x = F.rms_norm(x, (C,), eps=1e-5)
    for i in range(n_layer):
        qkv = F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"qkv{i}"])
        q, k, v = qkv.view(B, T, 3, n_head, C // n_head).permute(2, 0, 3, 1, 4)
        if is_variant:
            q, k = adjusted(q, *rotation), adjusted(k, *rotation)
        mean = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(mean.transpose(1, 2).reshape(B, T, C), weights[f"layer{i}.attn_wo"])
        hidden = F.relu(F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"layer{i}.mlp_fc1"]))
        hidden = hidden * hidden if is_variant else hidden
        x = x + F.linear(hidden, weights[f"layer{i}.mlp_fc2"])
    x = F.rms_norm(x, (C,), eps=1e-5) if is_variant else x
    logits = F.linear(x, weights["lm_head"])
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def adjusted(x, cosine, sine):
    """Normalize and rotate queries or keys, of shape (B, n_head, T, head_dim)."""
    T, D = x.shape[2:]
    x = QK_SCALE * F.rms_norm(x, (D,), eps=1e-5)
    a, b, cosine, sine = x[..., ::2], x[..., 1::2], cosine[:T], sine[:T]
    return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(-2)


class Muon:
    """Muon for matrices of one shape, stacked; a stack of q, k and v counts as three matrices."""

    def __init__(self, weights) -> None:
        self._weights = weights
        self._means = [torch.zeros_like(w) for w in weights]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update the matrices."""
        C = self._weights[0].shape[1]
        for w, mean in zip(self._weights, self._means, strict=True):
            mean.lerp_(w.grad, 1 - MUON_MOMENTUM)
        pairs = zip(self._weights, self._means, strict=True)
        ahead = [mean.lerp(w.grad, 1 - MUON_MOMENTUM) for w, mean in pairs]
        is_qkv = self._weights[0].shape[0] == 3 * C
        x = torch.cat([each.view(3, C, C) if is_qkv else each[None] for each in ahead])
        n_rows, n_columns = x.shape[1:]
        x = x.mT if n_rows < n_columns else x
        x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
        a, b, c = NEWTON_SCHULZ
        for _ in range(N_ITERATIONS):
            gram = x.mT @ x
            x = a * x + x @ torch.baddbmm(b * gram, gram, gram, alpha=c)
        x = x.mT if n_rows < n_columns else x
        scale = lr * max(1, n_rows / n_columns) ** 0.5
        for w, change in zip(self._weights, x.view(len(ahead), *ahead[0].shape), strict=True):
            w.sub_(change, alpha=scale)


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    batches = []
    for docs in job.batches():
        T = min(job.block_size, max(map(len, docs)) - 1)
        inputs, targets, mask = map(torch.from_numpy, job.padded(docs, T))
        batches.append((inputs, torch.where(mask > 0, targets.long(), IGNORED)))
    rotation = tuple(map(torch.from_numpy, job.rotation()))
    initial = {name: torch.from_numpy(matrix) for name, matrix in job.weights.items()}
    for i in range(job.n_layer):  # compute q, k and v with one matrix product
        parts = [initial.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
        initial[f"qkv{i}"] = torch.cat(parts)

    def train() -> list[float]:
        weights = {name: w.clone().requires_grad_() for name, w in initial.items()}
        names = [name for name in weights if name.startswith(("qkv", "layer"))]
        blocks = [weights.get(name) for name in names] if job.optimizer == "muon" else []
        shapes = sorted({w.shape for w in blocks})
        muons = [Muon([w for w in blocks if w.shape == shape]) for shape in shapes]
        others = [w for name, w in weights.items() if not (blocks and name in names)]
        adam = torch.optim.Adam(others, lr=LR, betas=(BETA1, BETA2), eps=EPS, fused=True)
        losses = []
        for i, (inputs, targets) in enumerate(batches):
            adam.param_groups[0]["lr"] = LR * (1 - i / job.steps)
            loss = batch_loss(weights, inputs, targets, job.n_head, job.n_layer, rotation)
            for w in weights.values():
                w.grad = None
            loss.backward()
            adam.step()
            for muon in muons:
                muon.step(MUON_LR_RATIO * LR * (1 - i / job.steps))
            losses.append(loss.detach())
        return torch.stack(losses).tolist()

    return train


answer(prepare)
