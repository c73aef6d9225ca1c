"""Loss and training time of the presets for names, and of the same training run in PyTorch.

Trains each preset for names with several seeds on one core through the public `train` function,
with the same names held out. The held-out loss is measured 20 times, as in
`microgpt train --preset names-60s`. Times are reported with and without these evaluations. The
model of names-60s is also trained with Karpathy's architecture and AdamW, by microgpt and, with the
same steps and settings, in PyTorch. Prints the losses,
the seconds and the loss curve of each training run, and writes them to bench/results.

    uv run python bench/quality.py [--only names-60s] [--seeds 5] [--core 1] [--python PATH]

Existing results are reused unless their settings have changed or --again is given, so an
interrupted run can be continued. Takes one hour in total.
"""

import argparse
from dataclasses import replace
from functools import partial

from quality_tables import ABLATED, presets_table
from torch_training import measured_in_torch
from trainings import ADAMW_PRESET, FIRST_SEED, Results, measured, parsed

from microgpt.training.presets import PRESETS

SEEDS = {"names-10s": 5, "names-60s": 5, "names-600s": 3, ABLATED: 5, "torch": 3}


def main() -> None:
    """Run the missing training runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SEEDS)
    parser.add_argument("--python", help="Python with PyTorch (default: uv installs it)")
    options = parsed(parser)
    results = Results("quality", again=options.again)
    in_torch = partial(measured_in_torch, python=options.python)
    for name, n_seeds in SEEDS.items():
        if options.only not in (None, name):
            continue
        preset = ADAMW_PRESET if name in (ABLATED, "torch") else PRESETS[name]
        for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or n_seeds)):
            config = replace(preset.config, seed=seed)
            results.add(name, preset.model, config, in_torch if name == "torch" else measured)
    print(presets_table(results.kept))


if __name__ == "__main__":
    main()
