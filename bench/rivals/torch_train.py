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
from job import BETA1, BETA2, EPS, LR, Job, answer

torch.set_num_threads(1)
IGNORED = -100  # target index that F.cross_entropy ignores


def batch_loss(weights, inputs, targets, n_head: int, n_layer: int):
    B, T = inputs.shape
    C = weights["wte"].shape[1]
    x = F.rms_norm(weights["wte"][inputs] + weights["wpe"][:T], (C,), eps=1e-5)
    for i in range(n_layer):
        qkv = F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"qkv{i}"])
        q, k, v = qkv.view(B, T, 3, n_head, C // n_head).permute(2, 0, 3, 1, 4)
        mean = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(mean.transpose(1, 2).reshape(B, T, C), weights[f"layer{i}.attn_wo"])
        hidden = F.relu(F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"layer{i}.mlp_fc1"]))
        x = x + F.linear(hidden, weights[f"layer{i}.mlp_fc2"])
    logits = F.linear(x, weights["lm_head"])
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    batches = []
    for docs in job.batches():
        T = min(job.block_size, max(map(len, docs)) - 1)
        inputs, targets, mask = map(torch.from_numpy, job.padded(docs, T))
        batches.append((inputs, torch.where(mask > 0, targets.long(), IGNORED)))
    initial = {name: torch.from_numpy(matrix) for name, matrix in job.weights.items()}
    for i in range(job.n_layer):  # compute q, k and v with one matrix product
        parts = [initial.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
        initial[f"qkv{i}"] = torch.cat(parts)

    def train() -> list[float]:
        weights = {name: w.clone().requires_grad_() for name, w in initial.items()}
        adam = torch.optim.Adam(weights.values(), lr=LR, betas=(BETA1, BETA2), eps=EPS, fused=True)
        losses = []
        for i, (inputs, targets) in enumerate(batches):
            adam.param_groups[0]["lr"] = LR * (1 - i / job.steps)
            loss = batch_loss(weights, inputs, targets, job.n_head, job.n_layer)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()

    return train


answer(prepare)
