# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch==2.13.0"]
# ///
"""PyTorch contender for minutes.py: nanoGPT's configuration for a CPU, trained for a given time.

The settings are those of the README of https://github.com/karpathy/nanoGPT (commit 3adf61e) for
training on a CPU; the code is ours. As in nanoGPT, the weights with the best validation loss are
kept; unlike nanoGPT, this scores the whole validation text, not 20 batches. AdamW is fused, which
is faster.

Reads a job from a file of JSON: the texts `train`, `validation` (may be empty) and `test` (a list;
each is scored on its own), `seconds` and `seed`. Prints a line of JSON.
"""

import json
import math
import sys
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import nn

N_LAYER, N_HEAD, C, T, B = 4, 4, 128, 64, 12
LR, MIN_LR, WARMUP_STEPS, BETAS, WEIGHT_DECAY, MAX_NORM = 1e-3, 1e-4, 100, (0.9, 0.99), 0.1, 1.0
STEPS_BETWEEN_EVALUATIONS = 250
START = "\n"  # context of the first character of a text, as in nanoGPT's sample.py
IGNORED, AT_ONCE = -100, 128  # target that F.cross_entropy ignores; windows per evaluation batch


class Block(nn.Module):
    """Attention and MLP, each with a pre-norm and a residual connection, without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(C, bias=False), nn.LayerNorm(C, bias=False)
        self.qkv, self.attn_out = nn.Linear(C, 3 * C, bias=False), nn.Linear(C, C, bias=False)
        self.mlp_in, self.mlp_out = nn.Linear(C, 4 * C, bias=False), nn.Linear(4 * C, C, bias=False)

    def forward(self, x):
        """Return the residual stream after the block, (B, T, C)."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, N_HEAD, -1)).permute(2, 0, 3, 1, 4)
        mean = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        x = x + self.attn_out(mean.transpose(1, 2).flatten(2))  # (B, T, C)
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm2(x))))


class Model(nn.Module):
    """A GPT with learned positions, whose token embeddings are also the output matrix."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, C), nn.Embedding(T, C)
        self.blocks = nn.Sequential(*(Block() for _ in range(N_LAYER)))
        self.norm = nn.LayerNorm(C, bias=False)
        for name, w in self.named_parameters():
            if w.dim() == 2:
                is_residual = name.endswith(("attn_out.weight", "mlp_out.weight"))
                nn.init.normal_(w, std=0.02 / math.sqrt(2 * N_LAYER) if is_residual else 0.02)

    def forward(self, inputs, targets, reduction: str = "mean"):
        """Return the cross-entropy of windows of T tokens, in nats."""
        x = self.blocks(self.wte(inputs) + self.wpe.weight)
        logits = F.linear(self.norm(x), self.wte.weight).flatten(0, 1)
        return F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction=reduction)


class Training:
    """A model and its optimizer at the start of a training run."""

    def __init__(self, tokens, vocab_size: int, seed: int) -> None:
        torch.manual_seed(seed)
        self._tokens, self.model = tokens, Model(vocab_size)
        matrices = [w for w in self.model.parameters() if w.dim() == 2]
        gains = [w for w in self.model.parameters() if w.dim() < 2]
        groups = [{"params": matrices}, {"params": gains, "weight_decay": 0.0}]
        self._adam = torch.optim.AdamW(groups, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)

    def step(self, lr: float) -> None:
        """Train on one batch of random windows."""
        for group in self._adam.param_groups:
            group["lr"] = lr
        self._adam.zero_grad()
        starts = torch.randint(len(self._tokens) - T, (B, 1))
        windows = self._tokens[starts + torch.arange(T + 1)]  # (B, T + 1)
        self.model(windows[:, :-1], windows[:, 1:]).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_NORM)
        self._adam.step()


def lr_at(step: int, steps: int) -> float:
    """Return the learning rate: linear warm-up, then a cosine from LR to MIN_LR."""
    if step < WARMUP_STEPS:
        return LR * (step + 1) / (WARMUP_STEPS + 1)
    progress = (step - WARMUP_STEPS) / (steps - WARMUP_STEPS)
    return MIN_LR + (LR - MIN_LR) * (1 + math.cos(math.pi * progress)) / 2


def steps_in(seconds: float, training: Training) -> int:
    """Return the number of steps that take the given time, from the speed in a twentieth of it."""
    training.step(LR)  # slower than the others
    n, started = 0, perf_counter()
    while n == 0 or perf_counter() - started < seconds / 20:
        training.step(LR)
        n += 1
    return max(1, round(seconds * n / (perf_counter() - started)))


def train(training: Training, validation, steps: int) -> float:
    """Train, restore the best weights, and return the seconds of the steps."""
    model, best, best_loss, seconds = training.model, None, math.inf, 0.0
    started = perf_counter()
    for step in range(1, steps + 1):
        training.step(lr_at(step - 1, steps))
        if step % STEPS_BETWEEN_EVALUATIONS == 0 or step == steps:
            seconds += perf_counter() - started
            loss = summed_loss(model, validation)
            if loss <= best_loss:  # without a validation text, all are 0
                best_loss, best = loss, {k: w.clone() for k, w in model.state_dict().items()}
            started = perf_counter()
    model.load_state_dict(best)
    return seconds


@torch.inference_mode()
def summed_loss(model: Model, tokens) -> float:
    """Return the summed loss of all tokens but the first, in nats.

    As in `microgpt eval`, windows overlap by half, and a window counts only the tokens that no
    earlier one predicts.
    """
    n, stride = len(tokens) - 1, T // 2
    n_windows = 1 + max(0, math.ceil((n - T) / stride))
    padding = (n_windows - 1) * stride + T - n
    inputs = F.pad(tokens[:-1], (0, padding)).unfold(0, T, stride)  # (n_windows, T)
    targets = F.pad(tokens[1:], (0, padding), value=IGNORED).unfold(0, T, stride).clone()
    targets[1:, : T - stride] = IGNORED
    batches = zip(inputs.split(AT_ONCE), targets.split(AT_ONCE), strict=True)
    return sum(model(*batch, reduction="sum").item() for batch in batches)


def main() -> None:
    """Train, and print the steps, seconds, parameters and test loss."""
    torch.set_num_threads(1)
    with open(sys.argv[1]) as file:
        job = json.load(file)
    chars = sorted({START}.union(job["train"], job["validation"], *job["test"]))
    id_of = {char: i for i, char in enumerate(chars)}
    tokens, validation, *tests = (
        torch.tensor([id_of[char] for char in text])
        for text in (job["train"], *(START + text for text in (job["validation"], *job["test"])))
    )
    steps = steps_in(job["seconds"], Training(tokens, len(chars), job["seed"]))
    training = Training(tokens, len(chars), job["seed"])
    facts = {"steps": steps, "seconds": train(training, validation, steps)}
    facts["params"] = sum(w.numel() for w in training.model.parameters())
    nats = sum(summed_loss(training.model, test) for test in tests)
    facts["bits_per_character"] = nats / math.log(2) / sum(len(test) - 1 for test in tests)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
