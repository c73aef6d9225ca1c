"""Measure the effect of each regularisation setting of names-60s with AdamW.

Trains the recipe and four kinds of variants: without one of its settings, without any, and with
only one. All have the same model, steps and seeds. Prints the losses and adds them to the results
of quality.py in bench/results. Differences are paired by seed.

    uv run python bench/ablation.py [--seeds 3] [--core 1]

Existing results are reused unless their settings have changed or --again is given, so an
interrupted run can be continued. Takes one minute per training run, forty minutes in total.
"""

import argparse
from dataclasses import replace
from itertools import chain

from quality_tables import ABLATED, ALONE, NONE, SETTINGS, WITHOUT, ablation_table
from trainings import ADAMW_PRESET, FIRST_SEED, Results, measured, parsed

from microgpt.config import TrainConfig

SEEDS = 3


def main() -> None:
    """Run the missing training runs and print the table."""
    options = parsed(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    results = Results("quality", again=options.again)
    preset = ADAMW_PRESET
    for name, config in variants(preset.config).items():
        for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS)):
            results.add(name, preset.model, replace(config, seed=seed), measured)
    print(ablation_table(results.kept))


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


if __name__ == "__main__":
    main()
