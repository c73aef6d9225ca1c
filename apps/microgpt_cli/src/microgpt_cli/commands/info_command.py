"""`microgpt info`: describe a model or a training file."""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt import (
    DEFAULT_DTYPE,
    FIELDS,
    CheckpointError,
    ConfigError,
    ReadOptions,
    Settings,
    TrainConfig,
    flag,
)
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, print_facts
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import TrainingPlan

of_data = partial(opt.option, rich_help_panel="Data")
READING = ("chat", "column", "me", "separator", "text", "tokenizer", "vocab_size")
MODEL_FILES = ("meta.json", "train_state.json", "weights.json")  # one is in a model directory
FILES = {"input": "--data", "from_": "--from"}


@examples("microgpt info my-model", "microgpt info names.txt")
def info(
    model: Path | None = opt.argument(
        None, f"Model directory, or a training file.  [default: {opt.DEFAULT_MODEL_DIR}]", "MODEL"
    ),
    model_option: Path | None = opt.MODEL_OPTION,
    data: Path | None = of_data(None, "Training file to describe, instead of a model."),
    chat: bool = of_data(
        False,
        "Read the file as conversations.  [default: if it has conversations]",
        "--chat",
    ),
    column: str | None = opt.COLUMN,
    me: str | None = opt.ME,
    separator: str | None = opt.SEPARATOR,
    minutes: float | None = of_data(
        None, "Also print the settings that `train --minutes` would choose."
    ),
    budget: float | None = of_data(
        None, "Like --minutes, but for `train --budget`, a number of operations.", hidden=True
    ),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Describe a model or a training file.

    Print the settings and the training history of a model. For a file, print how it is read, its
    statistics, and what to expect of a model that is trained on it.
    """
    started = perf_counter()
    if model and not (data or model_option) and _is_data(model):
        model, data = None, model
    model_dir = opt.one_of(model, model_option, "--model")
    given = {"minutes": minutes, "budget": budget}
    limits = {name: number for name, number in given.items() if number is not None}
    how = ReadOptions(None, column, chat or me is not None, me, separator)
    if not data:
        for name, value in {"me": me, **vars(how), **limits}.items():
            if value is not None and value is not False:
                raise ConfigError(f"--{name} requires --data; add --data or omit --{name}")
        _print_model(model_dir or opt.DEFAULT_MODEL_DIR, as_json=as_json)
        return
    if model_dir:
        raise ConfigError("--data describes a file; omit the model")
    Settings.from_dict({**limits, **vars(how), "text": TrainConfig.text})

    from microgpt import TimeLimit
    from microgpt_cli.dataset_report import describe_file, print_report
    from microgpt_cli.terminal.progress_bar import load_kernels

    limit = TimeLimit(minutes, started, load_kernels=load_kernels) if minutes else None
    facts = describe_file(data, how, limits, limit)
    if as_json:
        print(json.dumps(facts))
        return
    print_report(facts, how)
    how = replace(how, chat=facts["is_chat"])
    note(f"to train on this file, run: {_training_command(data, how, limits)}")


def _is_data(path: Path) -> bool:
    """Return whether a path is that of a file, of a folder of files, or a pattern for several."""
    if path.is_dir():
        return not any((path / name).exists() for name in MODEL_FILES)
    return path.is_file() or bool(set("*?[") & set(str(path)))


def _training_command(data: Path, how: ReadOptions, limits: Mapping[str, float]) -> str:
    from microgpt_cli.training.replacement import unused_model

    command = "microgpt train " + "--chat " * how.chat
    for name in ("column", "me", "separator"):
        if value := getattr(how, name):
            command += f"--{name} {shlex.quote(value)} "
    command += f"--data {shlex.quote(str(data))}"
    for name, number in limits.items():
        command += f" --{name} {number:.12g}".replace("e+", "e")
    model = unused_model(data)
    return f"{command} {model}{' NAME' if model == '--model' else ''}"  # a model may have its name


def _print_model(model_dir: Path, *, as_json: bool) -> None:
    from microgpt import count_params, read_training
    from microgpt_cli.counting import comparison
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
        training = {name: fact for name, fact in meta.training.items() if name != "legs"}
        if minutes := training.get("minutes"):
            training["minutes"] = f"{minutes:.3g}"
        print_facts(training | losses | {"baselines": comparison(saved)})
    with suppress(CheckpointError):  # there is no record of the run
        plan, *_ = read_training(model_dir)
        if not plan.legs:  # or else it takes several commands
            note(f"to train this model again, run: {_command_again(plan)}")


def _command_again(plan: "TrainingPlan") -> str:
    """Return the command that trains the model of a plan again.

    Settings that suited a budget or a few questions are chosen again. Other settings are a preset,
    Karpathy's by default, and what differs from it.
    """
    from microgpt import path_from_text, preset_settings

    config, budget, parent = plan.config, plan.given.get("budget"), plan.parent_sha256
    found = plan.ensemble.given(plan.given) if plan.ensemble else plan.given
    recorded = {**found, **vars(plan.model), **vars(config), **vars(plan.data)}
    if plan.ensemble:
        recorded |= found
    recorded |= {
        "input": plan.input,
        "chat": plan.tokenizer.is_chat,
        "tokenizer": plan.tokenizer.kind,
        "vocab_size": plan.model.vocab_size if plan.tokenizer.kind == "bpe" else None,
        "engine": None if plan.engine == "compiled" else plan.engine,
        "dtype": None if plan.dtype == DEFAULT_DTYPE[plan.engine] else plan.dtype,
        "from_": "PARENT" if parent else None,
        "minutes": None,
    }
    usual = Settings()

    def panel_of(name: str) -> str | None:
        return FIELDS[name].metadata.get("panel")

    given = found if budget or plan.extra else None
    if given is not None:
        names = ["input", *READING, "seed", "engine", "dtype", "budget", "until", "patience"]
        names += ["from_", *(["steps"] if budget else []), "n_teachers", *given]
        names = [name for name in dict.fromkeys(names) if name in FILES or panel_of(name)]
    else:
        panels = ["Data", "Training", *([] if parent else ["Model"])]
        names = ["input", "from_", *(name for name in FIELDS if panel_of(name) in panels)]
        if not parent:
            recorded["preset"] = preset = plan.given.get("preset", "karpathy")
            usual = Settings.from_dict(preset_settings(preset) | {"preset": None})
    words = ["microgpt train"]
    for name in names:
        value = recorded.get(name)
        is_usual = name not in (given or ()) and value == getattr(usual, name, None)
        if value is not None and value is not False and not is_usual:
            text = "" if value is True else shlex.quote(str(value))
            words.append(f"{FILES.get(name) or flag(name)} {text}".rstrip())
    for each in () if plan.ensemble else plan.teachers:
        words.append(f"--teacher {shlex.quote(str(path_from_text(each.directory)))}")
    return f"{' '.join(words)} --model NAME"
