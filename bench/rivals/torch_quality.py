# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch==2.13.0"]
# ///
"""PyTorch contender for quality.py: the same training run in idiomatic PyTorch.

Prints a line of JSON for each point of the loss curve: the steps so far, the seconds they took, and
the held-out loss. The last line is the test loss of the best weights. Evaluations are not timed.
"""

import json
import sys
from time import perf_counter

import torch
import torch.nn.functional as F
from job import Course

torch.set_num_threads(1)
IGNORED = -100  # target index that F.cross_entropy ignores
AT_ONCE = 512  # number of documents per evaluation batch


def logits_of(weights, inputs, course: Course, dropout: float):
    B, T = inputs.shape
    C = weights["wte"].shape[1]
    x = F.rms_norm(weights["wte"][inputs] + weights["wpe"][:T], (C,), eps=1e-5)
    x = F.dropout(x, dropout)
    for i in range(course.n_layer):
        qkv = F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"qkv{i}"])
        q, k, v = qkv.view(B, T, 3, course.n_head, -1).permute(2, 0, 3, 1, 4)
        mean = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        out = F.linear(mean.transpose(1, 2).reshape(B, T, C), weights[f"layer{i}.attn_wo"])
        x = x + F.dropout(out, dropout)
        hidden = F.relu(F.linear(F.rms_norm(x, (C,), eps=1e-5), weights[f"layer{i}.mlp_fc1"]))
        x = x + F.dropout(F.linear(hidden, weights[f"layer{i}.mlp_fc2"]), dropout)
    return F.linear(x, weights["lm_head"])


def loss_of(weights, batch, course: Course, dropout: float = 0.0, reduction: str = "mean"):
    inputs, targets = batch
    logits = logits_of(weights, inputs, course, dropout)
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction=reduction
    )


class Documents:
    """Documents padded to the context. A batch is cut to its longest document."""

    def __init__(self, course: Course, docs: list[list[int]]) -> None:
        inputs, targets, mask = map(torch.from_numpy, course.padded(docs, course.block_size))
        self._inputs = inputs.long()
        self._targets = torch.where(mask > 0, targets.long(), IGNORED)
        self._lengths = mask.sum(1).long()

    def batch(self, first: int, size: int):
        """Return the inputs and targets of a batch. The documents repeat."""
        rows = torch.arange(first, first + size) % len(self._inputs)
        T = int(self._lengths[rows].max())
        return self._inputs[rows, :T], self._targets[rows, :T]

    @torch.no_grad()
    def loss(self, weights, course: Course) -> float:
        """Return the mean negative log-likelihood per token, in nats."""
        n = len(self._inputs)
        batches = (self.batch(i, min(AT_ONCE, n - i)) for i in range(0, n, AT_ONCE))
        total = sum(loss_of(weights, batch, course, reduction="sum").item() for batch in batches)
        return total / int(self._lengths.sum())


def initial_weights(course: Course) -> dict[str, torch.Tensor]:
    """Return the initial weights, with one matrix for queries, keys and values."""
    weights = {name: torch.from_numpy(matrix) for name, matrix in course.weights.items()}
    for i in range(course.n_layer):
        weights[f"qkv{i}"] = torch.cat([weights.pop(f"layer{i}.attn_w{which}") for which in "qkv"])
    return {name: matrix.requires_grad_() for name, matrix in weights.items()}


def taken_in(mean, weights, n: int):
    """Return the running mean of the weights after adding the n-th ones."""
    if mean is None:
        return {name: w.detach().clone() for name, w in weights.items()}
    return {name: torch.lerp(mean[name], w.detach(), 1 / n) for name, w in weights.items()}


def main() -> None:
    """Train, and print the points of the loss curve and the test loss."""
    course = Course.load(sys.argv[1])
    docs, held_out, test = (
        Documents(course, each) for each in (course.docs, course.held_out, course.test)
    )
    weights, mean, n_averaged = initial_weights(course), None, 0
    adam = torch.optim.AdamW(
        weights.values(), betas=(course.beta1, course.beta2), eps=course.eps,
        weight_decay=course.weight_decay, fused=True,
    )  # fmt: skip
    loss_of(weights, docs.batch(0, course.batch_size), course).backward()  # warm-up
    best, best_loss, moments, seconds, started = weights, float("inf"), {*course.moments}, 0.0, 0.0
    started = perf_counter()
    for step, lr in enumerate(course.lrs, start=1):
        adam.param_groups[0]["lr"] = lr
        batch = docs.batch((step - 1) * course.batch_size, course.batch_size)
        adam.zero_grad()
        loss_of(weights, batch, course, course.dropout).backward()
        adam.step()
        if step in moments:
            n_averaged += 1
            mean = taken_in(mean, weights, n_averaged)
        if step % course.measured_every == 0 or step == course.steps:
            seconds += perf_counter() - started
            loss = held_out.loss(mean or weights, course)
            if loss < best_loss:
                best, best_loss = taken_in(None, mean or weights, 1), loss
            print(json.dumps({"step": step, "seconds": seconds, "loss": loss}), flush=True)
            started = perf_counter()
    print(json.dumps({"test_loss": test.loss(best, course)}))


main()
