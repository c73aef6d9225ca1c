"""What is each setting of the newer architecture, and Muon, worth?

Muon helps on all three texts; token shift, rotary positions and squared ReLU help on words and
Shakespeare (docs/measurements/quality.md).

    uv run --with pyspellchecker==0.9.1 python bench/study.py architecture [--seeds 3] [--core 1]

Trains small models of names, of German words and of Shakespeare with all settings, without each of
them, and without any, which is Karpathy's architecture with AdamW. All other settings are the same;
differences of the held-out losses are paired by seed. The German words are the 30,000 most frequent
ones of pyspellchecker (MIT licence). Ten minutes in total.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from harness import Run, seeds
from quality import NAMES
from studies.texts import frequent_words
from tables import difference, headed, losses, mean_and_sd

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_stream
from microgpt.data.split import Split, split, split_stream
from microgpt.inference import InferenceGpt
from microgpt.training.engines import prepare_engine
from microgpt.training.presets import VARIANT
from microgpt.training.train import train

Settings = TypeVar("Settings", ModelConfig, TrainConfig)

N_WORDS = 30_000
SMALL = ModelConfig(n_embd=48, n_layer=2, block_size=24, **VARIANT)
WORDS = TrainConfig(
    steps=2000, batch_size=64, lr=0.005, optimizer="muon", warmup_steps=100, weight_decay=0.1
)
SHAKESPEARE = replace(WORDS, steps=300, batch_size=16, warmup_steps=15, text="stream")
NEUTRAL: dict[str, dict[str, Any]] = {  # the settings of Karpathy's model and optimizer
    "rotary positions": {"positions": "learned"},
    "token shift": {"token_shift": False},
    "squared ReLU": {"activation": "relu"},
    "QK norm": {"qk_norm": False},
    "final norm": {"final_norm": False},
    "out_scale": {"out_scale": 1.0},
    "Muon": {"optimizer": "adamw"},
}


@dataclass
class ShortTraining:
    """The held-out loss of a training run, in nats per character."""

    test_loss: float

    def __str__(self) -> str:
        return f"{self.test_loss:.4f}"


def german_words() -> Split:
    """Return the most frequent German words, a tenth of them held out."""
    return split(frequent_words("de", N_WORDS), validation=0.1)


def shakespeare() -> Split:
    """Return Shakespeare with a tenth held out, spread over the text."""
    return split_stream(load_stream(bundled("shakespeare.txt")), validation=0.1, holdout="spread")


DATA: dict[str, tuple[Callable[[], Split], ModelConfig, TrainConfig]] = {
    "names": (lambda: NAMES, SMALL, WORDS),
    "German words": (german_words, SMALL, WORDS),
    "Shakespeare": (shakespeare, replace(SMALL, n_embd=64, n_layer=4, block_size=64), SHAKESPEARE),
}


def runs(options: Namespace) -> Iterator[Run]:
    """Yield each variant of each kind of text with each seed."""
    for data, (load, model, config) in DATA.items():
        measure = partial(measured, load())
        for what, settings in variants().items():
            one, other = changed(model, settings), changed(config, settings)
            for seed in seeds(options):
                yield Run(f"{data}, {what}", one, replace(other, seed=seed), measure)


def variants() -> dict[str, dict[str, Any]]:
    """Return the settings that differ from those of the newer architecture with Muon."""
    none = {name: value for each in NEUTRAL.values() for name, value in each.items()}
    without = {f"without {name}": settings for name, settings in NEUTRAL.items()}
    return {"all": {}, **without, "none": none}


def changed(config: Settings, changes: dict[str, Any]) -> Settings:
    """Return the settings with those of the changes that they have."""
    return replace(config, **{name: changes[name] for name in changes if hasattr(config, name)})


def measured(parts: Split, model: ModelConfig, config: TrainConfig, label: str) -> ShortTraining:
    """Train a model and return its loss on the held-out documents."""
    prepare_engine("compiled", uses=("training", "evaluation"))
    gpt = InferenceGpt(train(parts.train, model=model, config=config))
    return ShortTraining(gpt.evaluate(parts.validation, text=config.text).loss)


def architecture_table(kept: dict, *_: dict) -> str:
    """Return a table of the held-out losses, and of the increase without each setting."""
    lines = []
    for what in ("all", *(f"without {name}" for name in NEUTRAL), "none"):
        cells = []
        for data in DATA:
            everything, found = (losses(kept, f"{data}, {name}") for name in ("all", what))
            is_all = what == "all"
            cells.append(mean_and_sd(found.values()) if is_all else difference(found, everything))
        lines.append([what, *cells])
    return headed(["", *DATA], lines, kept)


TABLES = {"architecture": architecture_table}
