"""`microgpt info`: describe a model or a training file."""

import json
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

from microgpt import ConfigError, ReadOptions, Settings
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, print_facts
from microgpt_cli.terminal.help import examples

of_data = partial(opt.option, rich_help_panel="Data")


@examples("microgpt info", "microgpt info data/names.txt")
def info(
    model: Path | None = opt.argument(
        None, f"Model directory, or a training file.  [default: {opt.DEFAULT_MODEL_DIR}]", "MODEL"
    ),
    model_option: Path | None = opt.MODEL_OPTION,
    data: Path | None = of_data(None, "Training file to describe, instead of a model."),
    chat: bool = of_data(
        False, "Read the file as conversations.  [default: if it contains conversations]", "--chat"
    ),
    column: str | None = opt.COLUMN,
    me: str | None = opt.ME,
    separator: str | None = opt.SEPARATOR,
    minutes: float | None = of_data(
        None, "Training time for which to estimate the loss.  [default: 1]"
    ),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Describe a model or a training file.

    Print the settings and the training history of a model. For a file, print how `train` reads it,
    its statistics, and what to expect from a model that is trained on it.
    """
    if model and not (data or model_option) and _is_data(model):
        model, data = None, model
    model_dir = opt.one_of(model, model_option, "--model")
    how = ReadOptions(None, column, chat or me is not None, me, separator)
    given = {"me": me, **vars(how), "minutes": minutes}
    given = {name: value for name, value in given.items() if value not in (None, False)}
    if data and model_dir:
        raise ConfigError("--data describes a file; omit the model, or quote a path with spaces")
    if given and not data:
        name = next(iter(given))
        raise ConfigError(f"--{name} requires --data; add --data or omit --{name}")
    if not data:
        _print_model(model_dir or opt.DEFAULT_MODEL_DIR, as_json=as_json)
        return
    Settings.from_dict(given)

    from microgpt_cli.dataset_report import describe_file, print_report

    facts = describe_file(data, how, minutes or 1)
    if as_json:
        print(json.dumps(facts))
        return
    print_report(facts, column, minutes or 1)
    how = replace(how, chat=facts["is_chat"])
    note(f"to train on this file, run: {_training_command(data, how, minutes)}")


def _is_data(path: Path) -> bool:
    """Return whether a path names data: a file, a folder without a model, or a glob pattern."""
    from microgpt import is_model_directory

    if path.is_dir():
        return not is_model_directory(path)
    return path.is_file() or not set("*?[").isdisjoint(str(path))


def _training_command(data: Path, how: ReadOptions, minutes: float | None) -> str:
    from microgpt_cli.training.replacement import unused_model

    command = "microgpt train " + "--chat " * how.chat
    for name in ("column", "me", "separator"):
        if value := getattr(how, name):
            command += f"--{name} {shlex.quote(value)} "
    command += f"--data {shlex.quote(str(data))}"
    if minutes:
        command += f" --minutes {minutes:.12g}"
    model = unused_model(data)
    return f"{command} {model}{' NAME' if model == '--model' else ''}"  # the user replaces NAME


def _print_model(model_dir: Path, *, as_json: bool) -> None:
    from microgpt import count_params
    from microgpt_cli.baselines import comparison
    from microgpt_cli.model_loading import LOSSES, load_model, loss_text

    saved = load_model(model_dir)
    meta, model = saved.meta, saved.model
    shape = ["architecture", "vocab_size", "n_embd", "n_head", "n_layer", "block_size", "n_ff_exp"]
    facts: dict[str, object] = {
        **{name: getattr(model, name) for name in shape},
        "tokenizer": None if meta.tokenizer == "char" else meta.tokenizer,
        "charset": meta.chars or None,
        "special_tokens": list(meta.special_tokens or ()) or None,
        "num_params": count_params(model),
        "dtype": saved.dtype,
        "created_by": meta.created_by,
        "created_at": meta.created_at,
    }
    facts = {name: fact for name, fact in facts.items() if fact is not None}
    if as_json:
        print(json.dumps(facts | ({"training": meta.training} if meta.training else {})))
        return
    print("microgpt model")
    print_facts(facts | ({"charset": repr("".join(meta.chars))} if meta.chars else {}))
    if meta.training:
        print("training")
        losses = {name: text for name in LOSSES if (text := loss_text(meta.training, name))}
        if "train_loss" in losses:
            losses["train_loss"] += ", the mean of the last steps (at most 100)"
        print_facts({**meta.training, **losses, "baselines": comparison(saved)})
