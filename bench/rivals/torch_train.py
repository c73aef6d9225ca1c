# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "torch==2.13.0"]
# ///
"""PyTorch contender for train_speed.py: eager mode, with fused attention and fused Adam.

A batch is padded to its longest document. The padding follows the tokens, so causal attention
ignores it.
"""

import torch
from job import BETA1, BETA2, EPS, LR, MUON_LR_RATIO, Job, answer
from torch_model import IGNORED, Model, divided, initial_weights

torch.set_num_threads(1)


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    batches = []
    for docs in job.batches():
        T = min(job.block_size, max(map(len, docs)) - 1)
        inputs, targets, mask = map(torch.from_numpy, job.padded(docs, T))
        batches.append((inputs, torch.where(mask > 0, targets.long(), IGNORED)))
    model, initial = Model(job), initial_weights(job)

    def train() -> list[float]:
        weights = {name: w.clone().requires_grad_() for name, w in initial.items()}
        others, muons = divided(weights, job)
        adam = torch.optim.Adam(others, lr=LR, betas=(BETA1, BETA2), eps=EPS, fused=True)
        losses = []
        for i, batch in enumerate(batches):
            adam.param_groups[0]["lr"] = LR * (1 - i / job.steps)
            loss = model.loss(weights, batch)
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
