"""What is each regularisation setting of a model of names worth?

Dropout most, 0.069 nats; weight decay 0.021, averaging 0.003 (docs/measurements/quality.md).

    uv run python bench/study.py ablation [--seeds 3] [--core 1]

Trains the recipe without one of its settings, without any, and with only one. All runs have the
same model, steps and seeds; differences are paired by seed. The results are among those of
quality.py. The 21 training runs take 16 minutes on one core of an AMD EPYC (Zen 5).
"""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from harness import Run, seeds
from quality import ABLATED, ADAMW_PRESET, measured
from tables import difference, headed, losses, mean_and_sd

from microgpt.config import TrainConfig

STORED = "quality"
SETTINGS = {  # settings that presets add to Karpathy's, with their config fields
    "dropout": ("dropout",),
    "weight decay": ("weight_decay",),
    "averaging": ("average_tail",),
}
WITHOUT, ALONE, NONE = "without {}", "{} alone", "none of them"


def runs(options: Namespace) -> Iterator[Run]:
    """Yield each variant with each seed."""
    for name, config in variants(ADAMW_PRESET.config).items():
        for seed in seeds(options):
            yield Run(name, ADAMW_PRESET.model, replace(config, seed=seed), measured)


def variants(config: TrainConfig) -> dict[str, TrainConfig]:
    """Return the variants by name. Settings that the preset does not use are skipped."""
    without, alone = {}, {}
    plain = replace(
        config, **{name: getattr(TrainConfig, name) for name in chain(*SETTINGS.values())}
    )
    for what, names in SETTINGS.items():
        ours = {name: getattr(config, name) for name in names}
        neutral = {name: getattr(plain, name) for name in names}
        if ours != neutral:
            without[WITHOUT.format(what)] = replace(config, **neutral)
            alone[ALONE.format(what)] = replace(plain, **ours)
    return {ABLATED: config, **without, NONE: plain, **alone}


def ablation_table(kept: dict, *_: dict) -> str:
    """Return a table of the effect of each setting, in the preset and alone."""
    lines = []
    preset, none = losses(kept, ABLATED), losses(kept, NONE)
    pairs = {what: (WITHOUT.format(what), ALONE.format(what)) for what in SETTINGS}
    for what, names in {**pairs, "all": (NONE, ABLATED)}.items():
        without, alone = (losses(kept, name) for name in names)
        if without and alone:
            cells = [
                mean_and_sd(without.values()),
                difference(without, preset),
                mean_and_sd([alone[seed] for seed in alone if seed in none]),
                difference(none, alone),
            ]
            lines.append([what, *cells, str(len(without))])
    head = ["", "preset without it", "increase", "alone", "decrease", "seeds"]
    return headed(head, lines, kept)


TABLES = {"quality_ablation": ablation_table}
