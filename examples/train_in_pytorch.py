"""Train a model in PyTorch, on the GPU if there is one, and save it for microgpt.

One training step of microgpt makes the tokenizer and the initial weights; all other steps run in
PyTorch. The script prints the device, and the loss ten times, and saves a model directory.

    uv run --with torch python examples/train_in_pytorch.py data/names.txt my-names --steps 2000
    uv run microgpt generate --model my-names
"""

import argparse
import random

import torch
from torch.nn.functional import cross_entropy

from microgpt import ModelConfig, TrainConfig, load_text, save, train
from microgpt_exports.pytorch import Gpt

MODEL = ModelConfig(n_embd=64, n_head=4, n_layer=2, block_size=16)
BATCH_SIZE, LR, BETAS = 64, 0.003, (0.85, 0.99)
IGNORED = -100  # target of padding, for which F.cross_entropy computes no loss


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="text file with a document per line")
    parser.add_argument("model", help="model directory, which is replaced")
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()

    docs, rng = load_text(args.data), random.Random(1)
    first = train(docs, model=MODEL, config=TrainConfig(steps=1))
    longest = MODEL.block_size + 1  # tokens beyond the context are left out
    rows = [first.tokenizer.encode_document(doc)[:longest] for doc in docs]
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    print(f"training on {device}")

    gpt = Gpt(first).to(device)
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=LR, betas=BETAS)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=args.steps)
    for step in range(1, args.steps + 1):
        batch = rng.choices(rows, k=BATCH_SIZE)
        T = max(map(len, batch)) - 1
        tokens = torch.tensor([row[:-1] + [0] * (T + 1 - len(row)) for row in batch])
        targets = torch.tensor([row[1:] + [IGNORED] * (T + 1 - len(row)) for row in batch])
        logits = gpt(tokens.to(device))  # (B, T, V)
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten().to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % max(1, args.steps // 10) == 0:
            print(f"step {step}: loss {loss.item():.3f}")
    save(gpt.to_model(), args.model)


if __name__ == "__main__":
    main()
