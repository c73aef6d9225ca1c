# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch==2.13.0"]
# ///
"""PyTorch contender for decode_speed.py: eager mode, with fused attention and a KV cache."""

import numpy as np
import torch
import torch.nn.functional as F
from job import TEMPERATURE, Job, answer

torch.set_num_threads(1)


def prepare(job: Job):
    """Return a function that generates the sequences and returns their tokens."""
    B, T, H, L = job.batch_size, job.block_size, job.n_head, job.n_layer
    w = {name: torch.from_numpy(matrix) for name, matrix in job.weights.items()}
    C = w["wte"].shape[1]
    qkv = [torch.cat([w[f"layer{i}.attn_w{which}"] for which in "qkv"]) for i in range(L)]
    uniforms = torch.from_numpy(job.uniforms()).float()
    keys, values = (torch.zeros(L, B, H, T, C // H) for _ in "kv")

    @torch.inference_mode()
    def make_up() -> np.ndarray:
        tokens = torch.empty(len(uniforms), T, dtype=torch.long)
        for first in range(0, len(uniforms), B):
            token = torch.full((B,), job.vocab_size - 1)
            for t in range(T):
                x = F.rms_norm(w["wte"][token] + w["wpe"][t], (C,), eps=1e-5)
                for i in range(L):
                    rows = F.linear(F.rms_norm(x, (C,), eps=1e-5), qkv[i])
                    q, k, v = rows.view(B, 3, H, 1, C // H).unbind(1)
                    keys[i, :, :, t : t + 1], values[i, :, :, t : t + 1] = k, v
                    mean = F.scaled_dot_product_attention(
                        q, keys[i, :, :, : t + 1], values[i, :, :, : t + 1]
                    )
                    x = x + F.linear(mean.reshape(B, C), w[f"layer{i}.attn_wo"])
                    hidden = F.linear(F.rms_norm(x, (C,), eps=1e-5), w[f"layer{i}.mlp_fc1"])
                    x = x + F.linear(F.relu(hidden), w[f"layer{i}.mlp_fc2"])
                sums = F.softmax(F.linear(x, w["lm_head"]) / TEMPERATURE, 1).cumsum(1)
                share = uniforms[first : first + B, t, None] * sums[:, -1:]
                token = (sums <= share).sum(1).clamp_max(job.vocab_size - 1)
                tokens[first : first + B, t] = token
        return tokens.ravel().numpy()

    return make_up


answer(prepare)
