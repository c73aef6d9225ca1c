"""`microgpt import`: convert a checkpoint of another program to a model directory."""

import os
from pathlib import Path

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples


@examples(
    "microgpt import moonbase-output --model my-model",
    "microgpt import weights.json --n-head 4 --data names.txt --model my-model",
)
def import_checkpoint(
    checkpoint: Path = opt.argument(
        ..., "Checkpoint: a directory of MoonBase or transformers, or a file with weights.", "PATH"
    ),
    model: Path = opt.option(..., "Model directory to write.", "--model"),
    data: Path | None = opt.option(
        None, "For a file: the text on which the model was trained; its characters are the tokens."
    ),
    n_head: int | None = opt.option(None, "For a file: the number of attention heads."),
    force: bool = opt.flag("--force", "Replace another model in the model directory."),
) -> None:
    """Import a model that another program has trained.

    A model whose architecture does not fit is refused with the reason. No code in a file is run.
    """
    from microgpt import CharTokenizer, ConfigError, count_params, load_text, save
    from microgpt_cli.terminal.console import terminal_safe
    from microgpt_cli.training.replacement import confirm_replacement
    from microgpt_exports.imports.checkpoint import import_model

    if os.path.realpath(model) == os.path.realpath(checkpoint):
        raise ConfigError(f"{model} is the checkpoint itself; use another directory with --model")
    tokenizer = CharTokenizer.from_documents(load_text(data)) if data else None
    saved = import_model(checkpoint, n_head=n_head, tokenizer=tokenizer)
    if not force:
        confirm_replacement(model, "--model")
    save(saved, model)
    source = saved.meta.training["imported_from"]
    print(terminal_safe(f"{model}: {count_params(saved.model):,} weights, from {source}"))
