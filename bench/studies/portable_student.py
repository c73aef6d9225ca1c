"""What does a portable student cost, and is it better than a model that is portable from the start?

At most 0.07 bits per character on three texts, and it is better than its teacher on names. A model
that is portable from the start is worse, on Shakespeare hardly, and cheaper
(docs/measurements/elsewhere.md).

    uv run python bench/study.py portable_student [--seeds 3] [--core 1]

For each text and seed, trains a model with the settings that `train --budget` chooses; the same
with `--portable`; a student of the first model on the same documents, as `export --student` trains
it; and a student on texts that the first model generates, except for chat models, which cannot
generate any. The loss is measured on the test documents, in conversations on the replies. Three
minutes per seed on one core.
"""

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from harness import Run, seeds
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_documents
from microgpt.data.read_options import ReadOptions
from microgpt.data.split import Split
from microgpt.exports.portable_student import plan_student
from microgpt.inference import InferenceGpt
from microgpt.state import TrainedModel
from microgpt.storage.model_directory import load, save
from microgpt.storage.saved_model import SavedModel
from microgpt.training.engines import prepare_engine
from microgpt.training.ensemble_training import train_job
from microgpt.training.holding_out import hold_out
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training
from microgpt.training.presets import PORTABLE

BUDGET = 1.5e12  # operations of about eight seconds
TEXTS = {
    "names": ("names.txt", ReadOptions()),
    "Shakespeare": ("shakespeare.txt", ReadOptions(text="stream")),
    "conversations": ("chat.jsonl", ReadOptions(chat=True)),
}
WAYS = {
    "teacher": "model",
    "portable": "portable from the start",
    "student": "portable student",
    "made up": "the same, of texts that the model makes up",
}
OPTIONS = {"only": TEXTS}


@dataclass
class Loss:
    """Loss of the test documents in bits per character."""

    bits: float

    def __str__(self) -> str:
        return f"{self.bits:.4f} bits"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield each model of each text and seed."""
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    for seed in seeds(options):
        for text in TEXTS:
            for way in WAYS:
                if (text, way) != ("conversations", "made up"):
                    measure = partial(measured, text=text, way=way)
                    yield Run(f"{way}, {text}", ModelConfig(), TrainConfig(seed=seed), measure)


def measured(model: ModelConfig, config: TrainConfig, label: str, *, text: str, way: str) -> Loss:
    """Train a model, and return its loss."""
    parts, (_, how) = documents(text), TEXTS[text]
    if way == "portable":
        options = TrainOptions.of(PORTABLE).over(settings(text, config.seed))
        found: TrainedModel = train_job(plan_training(parts, options))
    elif way == "teacher":
        found = teacher(text, config.seed)
    else:
        docs = parts if way == "student" else None
        found = train_job(plan_student(teacher(text, config.seed), docs).job)
    gpt = InferenceGpt(found)
    return Loss(gpt.evaluate(parts.test, text=how.text or "lines").bits_per_character)


@cache
def documents(text: str) -> Split:
    """Return the documents of a text, as `train --budget` splits them."""
    name, how = TEXTS[text]
    fractions = TrainOptions(val_fraction=0.1, test_fraction=0.1, block_size=256)
    return hold_out(load_documents(bundled(name), how), fractions, print)


@cache
def teacher(text: str, seed: int) -> SavedModel:
    """Train the model of a text and seed."""
    result = train_job(plan_training(documents(text), settings(text, seed)))
    with tempfile.TemporaryDirectory() as folder:
        save(result, Path(folder, "model"))
        return load(Path(folder, "model"))


def settings(text: str, seed: int) -> TrainOptions:
    """Return the options of a training with the budget."""
    facts = {"budget": BUDGET, "single": True, "seed": seed, **vars(TEXTS[text][1])}
    return TrainOptions.of(facts)


def portable_student_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses of each text."""
    lines = []
    for way, title in WAYS.items():
        found = (runs_of(kept, f"{way}, {text}") for text in TEXTS)
        lines.append([title, *(mean_and_sd(each["bits"] for each in one) for one in found)])
    return headed(["bits per character", *TEXTS], lines, kept)


TABLES = {"portable_student": portable_student_table}
