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
from job import MUON_LR_RATIO, Course
from torch_model import IGNORED, Model, divided, initial_weights

torch.set_num_threads(1)
AT_ONCE = 512  # number of documents per evaluation batch


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
    def loss(self, model: Model, weights) -> float:
        """Return the mean negative log-likelihood per token, in nats."""
        n = len(self._inputs)
        batches = (self.batch(i, min(AT_ONCE, n - i)) for i in range(0, n, AT_ONCE))
        total = sum(model.loss(weights, batch, reduction="sum").item() for batch in batches)
        return total / int(self._lengths.sum())


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
    model, mean, n_averaged = Model(course), None, 0
    weights = {name: w.requires_grad_() for name, w in initial_weights(course).items()}
    others, muons = divided(weights, course)
    adam = torch.optim.AdamW(
        others, betas=(course.beta1, course.beta2), eps=course.eps,
        weight_decay=course.weight_decay, fused=True,
    )  # fmt: skip
    model.loss(weights, docs.batch(0, course.batch_size)).backward()  # warm-up
    best, best_loss, moments, seconds, started = weights, float("inf"), {*course.moments}, 0.0, 0.0
    started = perf_counter()
    for step, lr in enumerate(course.lrs, start=1):
        adam.param_groups[0]["lr"] = lr
        batch = docs.batch((step - 1) * course.batch_size, course.batch_size)
        for w in weights.values():
            w.grad = None
        model.loss(weights, batch, course.dropout).backward()
        adam.step()
        for muon in muons:
            muon.step(MUON_LR_RATIO * lr, course.weight_decay)
        if step in moments:
            n_averaged += 1
            mean = taken_in(mean, weights, n_averaged)
        if step % course.measured_every == 0 or step == course.steps:
            seconds += perf_counter() - started
            loss = held_out.loss(model, mean or weights)
            if loss < best_loss:
                best, best_loss = taken_in(None, mean or weights, 1), loss
            print(json.dumps({"step": step, "seconds": seconds, "loss": loss}), flush=True)
            started = perf_counter()
    print(json.dumps({"test_loss": test.loss(model, best)}))


main()
