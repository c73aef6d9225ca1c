"""The model and Muon in idiomatic PyTorch, for torch_train.py."""

import torch
import torch.nn.functional as F
from job import MUON_MOMENTUM, N_ITERATIONS, NEWTON_SCHULZ, QK_SCALE, Job

IGNORED = -100  # target index that F.cross_entropy ignores


def initial_weights(job: Job) -> dict[str, torch.Tensor]:
    """Return the initial weights, with one matrix for queries, keys and values."""
    weights = {name: torch.from_numpy(matrix) for name, matrix in job.weights.items()}
    for i in range(job.n_layer):
        weights[f"qkv{i}"] = torch.cat([weights.pop(f"layer{i}.attn_w{which}") for which in "qkv"])
    return weights


class Model:
    """The loss of a job's model, which is Karpathy's or the variant."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rotation = tuple(map(torch.from_numpy, job.rotation()))

    def loss(self, weights, batch):
        """Return the cross-entropy of a batch of inputs and targets, in nats."""
        inputs, targets = batch
        logits = self._logits(weights, inputs)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    def _logits(self, weights, inputs):
        B, T = inputs.shape
        C, is_variant = weights["wte"].shape[1], self._job.is_variant
        x = weights["wte"][inputs] if is_variant else weights["wte"][inputs] + weights["wpe"][:T]
        if is_variant:
            x = x + F.pad(torch.roll(x, C // 2, -1), (0, 0, 1, 0))[:, :-1]
        x = F.rms_norm(x, (C,), eps=1e-5)
        for i in range(self._job.n_layer):
            qkv = F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"qkv{i}"])
            q, k, v = qkv.view(B, T, 3, self._job.n_head, -1).permute(2, 0, 3, 1, 4)
            if is_variant:
                q, k = adjusted(q, *self._rotation), adjusted(k, *self._rotation)
            mean = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            out = F.linear(mean.transpose(1, 2).reshape(B, T, C), weights[f"layer{i}.attn_wo"])
            x = x + out
            normed = F.rms_norm(x, (C,), eps=1e-5)
            if is_variant:
                previous = F.pad(normed[:, :-1, : C // 2], (0, 0, 1, 0))
                normed = torch.cat([previous, normed[..., C // 2 :]], -1)
            hidden = F.relu(F.linear(normed, weights[f"layer{i}.mlp_fc1"]))
            hidden = hidden * hidden if is_variant else hidden
            x = x + F.linear(hidden, weights[f"layer{i}.mlp_fc2"])
        x = F.rms_norm(x, (C,), eps=1e-5) if is_variant else x
        return F.linear(x, weights["lm_head"])


def adjusted(x, cosine, sine):
    """Normalize and rotate queries or keys, of shape (B, n_head, T, head_dim)."""
    T, D = x.shape[2:]
    x = QK_SCALE * F.rms_norm(x, (D,), eps=1e-5)
    a, b, cosine, sine = x[..., ::2], x[..., 1::2], cosine[:T], sine[:T]
    return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(-2)


def divided(weights, job: Job) -> tuple[list[torch.Tensor], list["Muon"]]:
    """Return the weights that AdamW updates, and a Muon for each shape of the others."""
    if job.optimizer != "muon":
        return list(weights.values()), []
    blocks = [w for name, w in weights.items() if name.startswith(("qkv", "layer"))]
    others = [w for name, w in weights.items() if not name.startswith(("qkv", "layer"))]
    shapes = sorted({w.shape for w in blocks})
    return others, [Muon([w for w in blocks if w.shape == shape]) for shape in shapes]


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
