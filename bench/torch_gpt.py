"""The model in idiomatic PyTorch: eager mode, fused attention, fused Adam, Muon, and a KV cache."""

import numpy as np
import torch
import torch.nn.functional as F
from contenders import TEMPERATURE, Job, Work

from microgpt import MUON_LR_RATIO, QK_SCALE

IGNORED = -100  # target index that F.cross_entropy ignores
torch.set_num_threads(1)


class TorchGpt:
    """The weights of a job and the model's logits, for Karpathy's architecture or `modern`."""

    def __init__(self, job: Job) -> None:
        self.model, self.is_modern = job.model, not job.model.is_karpathys
        self.weights = {name: torch.tensor(matrix) for name, matrix in job.weights.items()}
        if job.config.optimizer != "muon":  # Muon updates the matrices separately
            for i in range(job.model.n_layer):
                parts = [self.weights.pop(f"layer{i}.attn_w{which}") for which in "qkv"]
                self.weights[f"layer{i}.qkv"] = torch.cat(parts)
        D = job.model.n_embd // job.model.n_head
        angles = np.outer(np.arange(job.model.block_size), 1e4 ** (-np.arange(0, D, 2) / D))
        self.rotation = torch.tensor(np.exp(1j * angles), dtype=torch.complex64)  # (T, D / 2)

    def logits(self, tokens, cache=None, first=0):
        """Return the logits (B, T, V) after tokens (B, T), which follow those in the cache."""
        B, T = tokens.shape
        C, H, w = self.model.n_embd, self.model.n_head, self.weights
        x = w["wte"][tokens]
        if self.is_modern:
            x = x + self._shifted(torch.roll(x, C // 2, -1))
        else:
            x = x + w["wpe"][first : first + T]
        x = norm(x)
        for i in range(self.model.n_layer):
            qkv = F.linear(norm(x), self._qkv(i))
            q, k, v = qkv.view(B, T, 3, H, -1).permute(2, 0, 3, 1, 4)  # each (B, H, T, D)
            if self.is_modern:
                q, k = self._rotated(q), self._rotated(k)
            if cache is not None:
                cache[i, :, :, :, first : first + T] = torch.stack((k, v))
                k, v = cache[i, :, :, :, : first + T]
            mean = F.scaled_dot_product_attention(q, k, v, is_causal=cache is None)
            x = x + F.linear(mean.transpose(1, 2).reshape(B, T, C), w[f"layer{i}.attn_wo"])
            normed = norm(x)
            if self.is_modern:
                half = self._shifted(normed[..., : C // 2])
                normed = torch.cat([half, normed[..., C // 2 :]], -1)
            hidden = F.relu(F.linear(normed, w[f"layer{i}.mlp_fc1"]))
            x = x + F.linear(hidden.square() if self.is_modern else hidden, w[f"layer{i}.mlp_fc2"])
        return F.linear(norm(x) if self.is_modern else x, w["lm_head"])

    def _qkv(self, i):
        if f"layer{i}.qkv" in self.weights:
            return self.weights[f"layer{i}.qkv"]
        return torch.cat([self.weights[f"layer{i}.attn_w{which}"] for which in "qkv"])

    def _shifted(self, x):
        """Return x, shifted by one position."""
        return F.pad(x[:, :-1], (0, 0, 1, 0))

    def _rotated(self, x):
        """Normalize and rotate queries or keys (B, H, T, D)."""
        pairs = torch.view_as_complex((QK_SCALE * norm(x)).unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * self.rotation[: x.shape[2]]).flatten(-2)


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
        by_muon, by_adam = [], []
        for name, weight in gpt.weights.items():
            is_of_block = name.startswith("layer") and config.optimizer == "muon"
            (by_muon if is_of_block else by_adam).append(weight.requires_grad_())
        betas = (config.beta1, config.beta2)
        optimizers = [torch.optim.Adam(by_adam, betas=betas, eps=config.adam_eps, fused=True)]
        if by_muon:
            optimizers.append(torch.optim.Muon(by_muon, weight_decay=0.0))
        losses = []
        for i, (inputs, targets) in enumerate(batches):
            for optimizer, ratio in zip(optimizers, (1.0, MUON_LR_RATIO), strict=False):
                optimizer.param_groups[0]["lr"] = ratio * config.lr_at(i)
            logits = gpt.logits(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
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
