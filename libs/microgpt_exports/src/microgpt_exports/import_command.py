"""`microgpt import`: convert a checkpoint of another program to a model directory."""

import os
from pathlib import Path

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples


@examples(
    "microgpt train --architecture portable --model portable",
    "microgpt export portable --format transformers -o elsewhere",
    "microgpt import elsewhere --model back",
)
def import_checkpoint(
    checkpoint: Path = opt.argument(..., "Model directory of MoonBase or transformers.", "DIR"),
    model: Path = opt.option(..., "Model directory to write.", "--model"),
    force: bool = opt.flag("--force", "Replace another model in the model directory."),
) -> None:
    """Import a model that another program has trained.

    A model of another architecture is refused, with the reason. No code in the files is run.
    """
    from microgpt import ConfigError, count_params, save
    from microgpt_cli.terminal.console import terminal_safe
    from microgpt_cli.training.replacement import check_replacement
    from microgpt_exports.imports import import_model

    if os.path.realpath(model) == os.path.realpath(checkpoint):
        raise ConfigError(f"{model} is the checkpoint itself; use another directory with --model")
    saved = import_model(checkpoint)
    if not force:
        check_replacement(model, "--model")
    save(saved, model)
    source = saved.meta.training["imported_from"]
    print(terminal_safe(f"{model}: {count_params(saved.model):,} weights, from {source}"))
