"""Measure models that are exported, trained in transformers or PyTorch, and imported again.

    python bench/back_again.py [--steps 2000]

Needs torch, transformers and accelerate. Trains a portable chat model, exports it to each program,
trains it there for ten steps on other conversations, and imports it. Difference: the largest
difference between the log-probabilities of the program and of microgpt for 20 held-out
conversations, before and after the ten steps. Bits: the loss per token of the replies in 200
held-out conversations, in microgpt.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from elsewhere import bits
from harness import parsed, pin
from machine import machine
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, load, save, train
from microgpt.data.documents import bundled, load_conversations
from microgpt.data.tokenizer import Document
from microgpt.exports.transformers_directory import encode_transformers
from microgpt.imports.checkpoint import import_model
from microgpt.state import TrainedModel
from microgpt.storage.saved_model import SavedModel
from microgpt.torch import Gpt

Logits = Callable[[list[int]], torch.Tensor]
N_STEPS, N_COMPARED, N_HELD_OUT, LR = 10, 20, 200, 1e-3
IGNORED = -100  # label that does not count
SHAPE: dict[str, Any] = {"n_embd": 64, "n_head": 4, "n_layer": 2, "block_size": 256}
PORTABLE = {"positions": "rotary", "activation": "relu2", "qk_norm": True, "final_norm": True}


def main() -> None:
    """Train the model, and print a line for each program, before and after."""
    steps = parsed(__doc__, steps=2000).steps
    pin()
    torch.set_num_threads(1)  # more would wait for each other on one core
    torch.manual_seed(0)
    print(machine())
    docs = load_conversations(bundled("chat.jsonl"))
    held_out = load_conversations(bundled("chat_heldout.jsonl"))[:N_HELD_OUT]
    config = TrainConfig(steps=steps, batch_size=8, lr=0.005)
    result = train(docs, model=ModelConfig(**SHAPE, **PORTABLE), config=config)
    new = held_out[: N_STEPS * 8]
    with tempfile.TemporaryDirectory() as folder:
        save(result, f"{folder}/model")
        saved = load(f"{folder}/model")
        print(f"microgpt: {loss(saved, held_out):.4f} bits")
        for measure in (in_torch, in_transformers):
            measure(saved, new, held_out, Path(folder))


def in_torch(saved: SavedModel, new: list[Document], held_out: list[Document], _: Path) -> None:
    """Train the PyTorch module."""
    gpt = Gpt(saved)
    logits: Logits = lambda tokens: gpt(torch.tensor([tokens]))[0]  # noqa: E731
    report("torch", saved, logits, held_out)
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=LR)
    for step in range(N_STEPS):
        docs = new[step * 8 : step * 8 + 8]
        losses = [
            torch.nn.functional.cross_entropy(logits(tokens[:-1]), torch.tensor(labels[1:]))
            for tokens, labels in zip(encoded(saved, docs), labelled(saved, docs), strict=True)
        ]
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        optimizer.step()
    report("torch, ten steps", gpt.to_model(), logits, held_out)


def in_transformers(
    saved: SavedModel, new: list[Document], held_out: list[Document], folder: Path
) -> None:
    """Export the model, train it with Trainer, and import it."""
    there, trained = folder / "there", folder / "trained"
    there.mkdir()
    for name, content in encode_transformers(saved).items():
        (there / name).write_bytes(content)
    model = AutoModelForCausalLM.from_pretrained(there)
    tokenizer = AutoTokenizer.from_pretrained(there)
    logits: Logits = lambda tokens: model(torch.tensor([tokens])).logits[0]  # noqa: E731
    report("transformers", saved, logits, held_out)
    for name, weight in model.named_parameters():
        weight.requires_grad_("_norm." not in name)
    settings = TrainingArguments(
        output_dir=str(folder / "runs"), max_steps=N_STEPS, learning_rate=LR, use_cpu=True,
        per_device_train_batch_size=1, gradient_accumulation_steps=8, save_strategy="no",
        report_to=[], disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    pairs = zip(encoded(saved, new), labelled(saved, new), strict=True)
    rows = [{"input_ids": tokens, "labels": labels} for tokens, labels in pairs]
    Trainer(model=model, args=settings, train_dataset=rows).train()
    model.eval()
    model.save_pretrained(trained)
    tokenizer.save_pretrained(trained)
    save(import_model(trained), folder / "back")
    back = load(folder / "back")
    report("transformers, ten steps", back, logits, held_out)
    question = "what is 3 plus 4?"
    reply = InferenceGpt(back).chat([Message("user", question)]).content
    print(f"  chat: {json.dumps(question)} {json.dumps(reply)}")


def report(name: str, model: TrainedModel, logits: Logits, held_out: list[Document]) -> None:
    """Print the difference of a model from that of another program, and its loss."""
    gpt, largest = InferenceGpt(model), 0.0
    with torch.no_grad():
        for tokens in encoded(model, held_out[:N_COMPARED]):
            theirs = logits(tokens).double().log_softmax(-1)
            ours = torch.tensor([*gpt.log_probability_rows(tokens)], dtype=torch.float64)
            largest = max(largest, float((ours - theirs).abs().max()))
        read = [gpt.tokenizer.bos_id]
        while len(read) < gpt.config.block_size:
            read.append(int(logits(read)[-1].argmax()))
    rows = [*gpt.log_probability_rows(read[:-1])]
    greedy = [max(range(len(row)), key=row.__getitem__) for row in rows]
    n_same = sum(a == b for a, b in zip(greedy, read[1:], strict=True))
    print(
        f"{name}: difference {largest:.0e}, {n_same} of {len(greedy)} greedy tokens, "
        f"{loss(model, held_out):.4f} bits"
    )


def encoded(model: TrainedModel, docs: Sequence[Document]) -> list[list[int]]:
    """Return the tokens of documents that fit into the context."""
    return [model.tokenizer.encode_document(doc)[: model.model.block_size] for doc in docs]


def labelled(model: TrainedModel, docs: Sequence[Document]) -> list[list[int]]:
    """Return the tokens of the replies, with IGNORED for all other tokens."""
    masks = (model.tokenizer.mask(doc, "assistant") or b"" for doc in docs)
    return [
        [token if counts else IGNORED for token, counts in zip(tokens, mask, strict=False)]
        for tokens, mask in zip(encoded(model, docs), masks, strict=True)
    ]


def loss(model: TrainedModel, docs: list[Document]) -> float:
    """Return the mean loss of the replies per token, in bits."""
    gpt, tokens = InferenceGpt(model), encoded(model, docs)
    masks = [model.tokenizer.mask(doc, "assistant") or b"" for doc in docs]
    return bits([[*gpt.log_probabilities(each[:-1])] for each in tokens], tokens, masks)


if __name__ == "__main__":
    main()
