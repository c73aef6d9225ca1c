"""The GPT in idiomatic PyTorch: eager mode, fused attention, fused Adam, and a KV cache."""

import numpy as np
import torch
import torch.nn.functional as F
from contenders import TEMPERATURE, Job, Work

IGNORED = -100  # target index that F.cross_entropy ignores
torch.set_num_threads(1)


class TorchGpt:
    """The GPT in PyTorch, with the initial weights of a job."""

    def __init__(self, job: Job) -> None:
        self.model = job.model
        self.weights = {name: torch.tensor(matrix) for name, matrix in job.weights.items()}
        for i in range(job.model.n_layer):
            parts = [self.weights.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
            self.weights[f"layer{i}.qkv"] = torch.cat(parts)

    def logits(self, tokens, cache=None, first=0):
        """Return the logits (B, T, V) after tokens (B, T), which follow those in the cache."""
        B, T = tokens.shape
        C, H, w = self.model.n_embd, self.model.n_head, self.weights
        x = norm(w["wte"][tokens] + w["wpe"][first : first + T])
        for i in range(self.model.n_layer):
            qkv = F.linear(norm(x), w[f"layer{i}.qkv"])
            q, k, v = qkv.view(B, T, 3, H, -1).permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
            if cache is not None:
                cache[i, :, :, :, first : first + T] = torch.stack((k, v))
                k, v = cache[i, :, :, :, : first + T]
            mean = F.scaled_dot_product_attention(q, k, v, is_causal=cache is None)
            x = x + F.linear(mean.transpose(1, 2).reshape(B, T, C), w[f"layer{i}.attn_wo"])
            hidden = F.relu(F.linear(norm(x), w[f"layer{i}.mlp_fc1"]))
            x = x + F.linear(hidden, w[f"layer{i}.mlp_fc2"])
        return F.linear(x, w["lm_head"])


def norm(x):
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


def trainer(job: Job) -> Work:
    """Return a function that trains once and returns the losses.

    A batch is padded to its longest document. The padding follows the tokens, so causal attention
    ignores it.
    """
    batches, config = [], job.config
    for i in range(config.steps):
        docs = job.docs[i * config.batch_size : (i + 1) * config.batch_size]
        T = max(map(len, docs)) - 1
        inputs = torch.tensor([[*doc[:-1], *[0] * (T + 1 - len(doc))] for doc in docs])
        targets = torch.tensor([[*doc[1:], *[IGNORED] * (T + 1 - len(doc))] for doc in docs])
        batches.append((inputs, targets))

    def train() -> list[float]:
        gpt = TorchGpt(job)
        weights = [weight.requires_grad_() for weight in gpt.weights.values()]
        betas = (config.beta1, config.beta2)
        optimizer = torch.optim.Adam(weights, betas=betas, eps=config.adam_eps, fused=True)
        losses = []
        for i, (inputs, targets) in enumerate(batches):
            optimizer.param_groups[0]["lr"] = config.lr_at(i)
            logits = gpt.logits(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()

    return train


def generator(job: Job) -> Work:
    """Return a function that generates the sequences and returns their tokens."""
    gpt, model, B = TorchGpt(job), job.model, job.n_together
    uniforms = torch.from_numpy(job.uniforms()).float()
    size = (model.n_layer, 2, B, model.n_head, model.block_size, model.n_embd // model.n_head)
    cache = torch.zeros(size)

    @torch.inference_mode()
    def generate() -> np.ndarray:
        tokens = torch.empty(len(uniforms), model.block_size, dtype=torch.long)
        for first in range(0, len(uniforms), B):
            token = torch.full((B, 1), model.vocab_size - 1)
            for t in range(model.block_size):
                logits = gpt.logits(token, cache, t)[:, -1] / TEMPERATURE
                sums = F.softmax(logits, -1).cumsum(-1)
                share = uniforms[first : first + B, t, None] * sums[:, -1:]
                token = (sums <= share).sum(1, keepdim=True).clamp_max(model.vocab_size - 1)
                tokens[first : first + B, t : t + 1] = token
        return tokens.ravel().numpy()

    return generate
