"""Are characters or subwords better tokens for English, at the same computational cost?

Subwords: 1.97 bits per character with 4,096 of them, 2.19 with characters
(docs/measurements/quality.md).

    uv run python bench/study.py text_quality [--only characters] [--seeds 1] [--core 1]

Trains on the conversations of data/oasst1_chat.jsonl with `microgpt train --chat`, first with
characters as tokens, then with subwords (`--tokenizer bpe`), and last with subwords, the newer
architecture and Muon. The models have the same width, depth and context. A larger vocabulary makes
steps slower, so the number of steps is reduced to keep the number of operations equal. The
operations of Muon itself are not counted. The loss is that of the assistant's messages in held-out
conversations, where the end of a message counts as one character. 27 minutes on one
core of an AMD EPYC (Zen 5).
"""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from statistics import fmean

from harness import ROOT, Run, seeds, show_progress
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, Sampling, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.documents import load_conversations
from microgpt.data.split import Split, split
from microgpt.data.tokenizer import CharTokenizer, Message, Tokenizer
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.presets import VARIANT
from microgpt.training.train import train
from microgpt_evolution.genome import training_flops

DATA = ROOT / "data" / "oasst1_chat.jsonl"
WITH_MUON = "bpe-4096, newer architecture, Muon"
# None: all characters
VOCAB_SIZES = {"characters": None, "bpe-1024": 1024, "bpe-4096": 4096, WITH_MUON: 4096}
OPTIONS = {"only": VOCAB_SIZES}
MODEL = ModelConfig(n_embd=128, n_layer=4, block_size=128)
CONFIG = TrainConfig(
    steps=5_000, batch_size=16, lr=0.003, dropout=0.1, weight_decay=0.1, average_tail=0.3
)
MUON = {"optimizer": "muon", "warmup_steps": 150, "average_tail": 0.0}
FENCE = "~~~~"  # replies may contain backticks
PROMPTS = ("What is the capital of France?", "Write a short poem about the sea.")
SAMPLING, LONGEST_REPLY = Sampling(temperature=0.7), 100  # in tokens


@dataclass
class TextTraining:
    """Cost and losses of a training run. Losses A and B are in bits per character."""

    vocab_size: int
    params: int
    tokens_a_character: float
    val_bits: float
    test_bits: float
    seconds: float
    replies: list[str]

    def __str__(self) -> str:
        return f"A {self.val_bits:.4f}, B {self.test_bits:.4f}, {self.seconds:.1f} s"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield the training runs with each tokenizer."""
    for name, vocab_size in VOCAB_SIZES.items():
        tokenizer = tokenizer_of(vocab_size)
        is_new = name == WITH_MUON
        model = replace(MODEL, **VARIANT) if is_new else MODEL
        config = replace(CONFIG, **MUON) if is_new else CONFIG
        config = replace(config, steps=steps_of(MODEL, CONFIG, tokenizer))
        for seed in seeds(options, 1):
            measure = partial(measured, tokenizer=tokenizer)
            yield Run(name, model, replace(config, seed=seed), measure)


@cache
def conversations() -> Split:
    """Return the conversations, with one tenth for A and another for B."""
    return split(load_conversations(DATA, tell=print), validation=0.1, test=0.1)


@cache
def tokenizer_of(vocab_size: int | None) -> Tokenizer:
    """Return a subword tokenizer of the training set, or a character tokenizer of all data."""
    if vocab_size is None:
        return CharTokenizer.from_documents(conversations().docs)
    return BpeTokenizer.from_documents(conversations().train, vocab_size)


def steps_of(model: ModelConfig, config: TrainConfig, tokenizer: Tokenizer) -> int:
    """Return the number of steps that costs as much as CONFIG with a character tokenizer."""
    n = model.block_size  # nearly all chunks fill the context
    ours, characters = (
        training_flops(replace(model, vocab_size=each.vocab_size), n_docs=1, n_tokens=n)
        for each in (tokenizer, tokenizer_of(None))
    )
    return round(config.steps * characters / ours)


def measured(
    model: ModelConfig, config: TrainConfig, label: str, *, tokenizer: Tokenizer
) -> TextTraining:
    """Train a model, and return its cost, losses and replies."""
    parts = conversations()
    prepare_engine("compiled", uses=("training", "evaluation", "decoding"))

    def on_event(event: TrainEvent) -> None:
        if event.val_loss is not None:
            show_progress(label, event.step, event.steps, event.val_loss)

    result = train(parts, model=model, config=config, tokenizer=tokenizer, on_event=on_event)
    gpt = InferenceGpt(result)
    val, test = (
        gpt.evaluate(part, loss_on=config.loss_on) for part in (parts.validation, parts.test)
    )
    texts = [message.content for doc in parts.test for message in doc]
    n_tokens = sum(map(tokenizer.count, texts))
    return TextTraining(
        vocab_size=tokenizer.vocab_size,
        params=count_params(result.model),
        tokens_a_character=n_tokens / sum(map(len, texts)),
        val_bits=val.bits_per_character,
        test_bits=test.bits_per_character,
        seconds=result.seconds,
        replies=[reply(gpt, prompt, config.seed) for prompt in PROMPTS],
    )


def reply(gpt: InferenceGpt, prompt: str, seed: int) -> str:
    """Return a model's reply to a prompt."""
    message = [Message("user", prompt)]
    return gpt.chat(message, sampling=SAMPLING, seed=seed, max_tokens=LONGEST_REPLY).content


def text_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses of text models by tokenizer."""
    lines = []
    for name in VOCAB_SIZES:
        if found := runs_of(kept, name):
            first = found[0]
            lines.append([
                name,
                f"{first['vocab_size']:,}",
                f"{first['tokens_a_character']:.2f}",
                f"{first['params']:,}",
                f"{first['settings']['steps']:,}",
                f"{fmean(each['seconds'] for each in found):.0f}",
                mean_and_sd(each["val_bits"] for each in found),
                f"**{mean_and_sd(each['test_bits'] for each in found)}**",
            ])  # fmt: skip
    head = ["", "vocabulary", "tokens per character", "weights", "steps", "seconds", "A", "B"]
    return headed(head, lines, kept)


def replies(kept: dict, *_: dict) -> str:
    """Return the replies of the first model per tokenizer, grouped by prompt, as Markdown."""
    first = {name: found[0] for name in VOCAB_SIZES if (found := runs_of(kept, name))}
    lines = []
    for i, prompt in enumerate(PROMPTS):
        lines += [f"> {prompt}", ""]
        for name, found in first.items():
            lines += [f"{name}:", "", FENCE, found["replies"][i], FENCE, ""]
    return "\n".join(lines).rstrip()


TABLES = {"text_quality": text_table, "text_replies": replies}
