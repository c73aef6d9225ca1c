"""Compare character and subword tokens for modeling English at the same computational cost.

Trains on the conversations of data/oasst1_chat.jsonl with `microgpt train --chat`, first with
characters as tokens, then with subwords (`--tokenizer bpe`), and last with subwords, the newer
architecture and Muon. The models have the same width, depth and context. A larger vocabulary makes
steps slower, so the number of steps is reduced to keep the number of operations equal. The
operations of Muon itself are not counted. Prints the bits per character of the assistant's messages
in held-out conversations, where the end of a message counts as one character. Also prints replies
to prompts. Writes all results to bench/results.

    uv run python bench/text_quality.py [--only characters] [--seeds 1] [--core 1]

Existing results are reused unless their settings have changed or --again is given, so an
interrupted run can be continued. Takes several minutes per training run.
"""

import argparse
from dataclasses import dataclass, replace
from functools import cache, partial

from text_tables import PROMPTS, VOCAB_SIZES, WITH_MUON, replies, text_table
from train_speed import HERE
from trainings import FIRST_SEED, Results, parsed, show_progress

from microgpt.config import ModelConfig, Sampling, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.documents import load_conversations
from microgpt.data.split import Split, split
from microgpt.data.tokenizer import CharTokenizer, Message, Tokenizer
from microgpt.inference import InferenceGpt
from microgpt.model import count_params
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.presets import VARIANT
from microgpt.training.train import train
from microgpt_evolution.flops import training_flops

DATA = HERE.parent / "data" / "oasst1_chat.jsonl"
SEEDS = 1
MODEL = ModelConfig(n_embd=128, n_layer=4, block_size=128)
CONFIG = TrainConfig(
    steps=5_000, batch_size=16, lr=0.003, dropout=0.1, weight_decay=0.1, average_tail=0.3
)
MUON = {"optimizer": "muon", "warmup_steps": 150, "average_tail": 0.0}
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


def main() -> None:
    """Run the missing training runs and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=VOCAB_SIZES)
    options = parsed(parser)
    results = Results("text_quality", again=options.again)
    for name, vocab_size in VOCAB_SIZES.items():
        if options.only not in (None, name):
            continue
        tokenizer = tokenizer_of(vocab_size)
        is_new = name == WITH_MUON
        model = replace(MODEL, **VARIANT) if is_new else MODEL
        config = replace(CONFIG, **MUON) if is_new else CONFIG
        config = replace(config, steps=steps_of(MODEL, CONFIG, tokenizer))
        for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS)):
            measure = partial(measured, tokenizer=tokenizer)
            results.add(name, model, replace(config, seed=seed), measure)
    print(text_table(results.kept))
    print(replies(results.kept))


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


if __name__ == "__main__":
    main()
