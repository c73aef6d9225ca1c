"""What is each setting of the preset names-60s worth?

Trains it as it is, without each of its settings in turn, without all of them, and with each alone:
the same model, the same number of steps, the same seeds. Printed, and kept in bench/results among
those of quality.py, are the losses; differences are taken seed by seed.

    uv run python bench/ablation.py [--seeds 3] [--core 1]

What is among the results is not trained again, unless its settings have changed since, or with
--again: what was interrupted goes on. A minute a training, forty in all.
"""

import argparse
from dataclasses import replace
from itertools import chain

from quality_tables import ABLATED, ALONE, NONE, SETTINGS, WITHOUT, ablation_table
from trainings import FIRST_SEED, Results, measured, parsed

from microgpt.config import TrainConfig
from microgpt.training.presets import PRESETS

SEEDS = 3


def main() -> None:
    """Train what is not there, and print the table."""
    options = parsed(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    results = Results("quality", again=options.again)
    preset = PRESETS[ABLATED]
    for name, config in variants(preset.config).items():
        for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS)):
            results.add(name, preset.model, replace(config, seed=seed), measured)
    print(ablation_table(results.kept))


def variants(config: TrainConfig) -> dict[str, TrainConfig]:
    """Return the trainings to compare, by name; of settings that the preset does not use, none."""
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


if __name__ == "__main__":
    main()
