"""`microgpt info`: describe a model or a training file."""

import json
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt import (
    ARCHITECTURE,
    DEFAULT_DTYPE,
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
    from microgpt_cli.dataset_report import DatasetReport

of_data = partial(opt.option, rich_help_panel="Data")
# Options of the command that trains a model again.
DATA = ("input", "chat", "column", "me", "separator", "text", "seed", "engine", "dtype")
FILES = {"input": "--data", "from_": "--from"}
SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", *ARCHITECTURE)
STEP = (
    *("steps", "until", "batch_size", "lr", "optimizer", "warmup_steps", "dropout"),
    *("weight_decay", "average_tail", "patience", "val_fraction", "test_fraction"),
)


@examples("microgpt info my-model")
def info(
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    data: Path | None = of_data(
        None,
        "Training file to describe; with a model, also list characters that are not in the "
        "vocabulary.",
    ),
    chat: bool = of_data(
        False,
        "Read the file as conversations.  [default: if it has conversations, except with a text "
        "model]",
        "--chat",
    ),
    column: str | None = opt.COLUMN,
    me: str | None = opt.ME,
    separator: str | None = opt.SEPARATOR,
    minutes: float | None = of_data(
        None, "Also print the settings that `train --minutes` would choose, and the expected loss."
    ),
    budget: float | None = of_data(
        None, "Like --minutes, but for `train --budget`, a number of operations.", hidden=True
    ),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Describe a model or a training file.

    Print the settings and the training history of a model. With --data, print the statistics of a
    file, a recommended block size, and the training speed.
    """
    started = perf_counter()
    model_dir = opt.one_of(model, model_option, "--model")
    if not data:
        given: dict[str, object] = {"--chat": chat or None, "--column": column, "--me": me}
        given |= {"--separator": separator, "--minutes": minutes, "--budget": budget}
        for flag, value in given.items():
            if value is not None:
                raise ConfigError(f"{flag} requires --data; add --data or omit {flag}")
        _print_model(model_dir or opt.DEFAULT_MODEL_DIR, as_json=as_json)
        return
    limits = {"minutes": minutes, "budget": budget}
    how = ReadOptions(None, column, chat or me is not None, me, separator)
    Settings.from_dict({**limits, **vars(how), "text": TrainConfig.text})

    from microgpt import TimeLimit
    from microgpt_cli.dataset_report import analyze_file, as_facts, report_lines

    found = analyze_file(
        data,
        model_dir,
        how,
        limits=limits,
        limit=TimeLimit(minutes, started) if minutes else None,
    )
    if as_json:
        print(json.dumps(as_facts(found)))
        return
    for line in report_lines(found):
        print(line)
    _note_command(found, data, limits, is_of_model=model_dir is not None)


def _note_command(
    found: "DatasetReport", data: Path, limits: Mapping[str, float | None], *, is_of_model: bool
) -> None:
    """Print the command that trains on the file."""
    from microgpt_cli.training.replacement import unused_model

    command = f"{found.how.as_typed()}--data {shlex.quote(str(data))}"
    for name, value in limits.items():
        if value is not None:
            command += f" --{name} {value:.12g}".replace("e+", "e")
    if is_of_model and found.report.tokenizer.kind == "bpe":
        command += f" --tokenizer bpe --vocab-size {found.model.vocab_size}"
    where = unused_model(data)
    where += " NAME" if where == "--model" else ""  # a model of that name exists
    note(f"to train on this file, run: microgpt train {command} {where}")


def _print_model(model_dir: Path, *, as_json: bool) -> None:
    from microgpt import ARCHITECTURE, count_params, is_karpathys
    from microgpt_cli.model_loading import load_model

    if os.path.isfile(model_dir):
        what = shlex.quote(str(model_dir))
        raise ConfigError(f"{model_dir} is a file; describe a training file with --data {what}")
    saved = load_model(model_dir)
    meta, model = saved.meta, saved.model
    shape = ["vocab_size", "n_embd", "n_head", "n_layer", "block_size", "n_ff_exp"]
    shape += [] if is_karpathys(model) else ARCHITECTURE
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
        print_facts(meta.training | _losses(meta.training) | _ensemble(meta.training))
    _note_command_again(model_dir)


def _note_command_again(model_dir: Path) -> None:
    """Print the command that trains the model again, if its directory has the record of the run."""
    from microgpt import read_training

    with suppress(CheckpointError):
        plan, *_ = read_training(model_dir)
        commands = [f"{_command_again(plan)} --model NAME"]
        for steps, until in _legs(plan)[1:]:
            end = f" --until {until}" if until else ""
            commands.append(f"microgpt train --resume NAME --steps {steps}{end}")
        note(f"to train this model again, run: {' && '.join(commands)}")


def _command_again(plan: "TrainingPlan") -> str:
    """Return the command that trains the model of a plan again, without its directory.

    Settings that suited a budget or a few questions are chosen again. Other settings are a preset,
    Karpathy's by default, and what differs from it.
    """
    from microgpt import path_from_text, preset_settings

    recorded = {**vars(plan), **vars(plan.model), **vars(plan.config), **vars(plan.data)}
    recorded |= {name: plan.given.get(name) for name in ("column", "me", "separator")}
    recorded |= {
        "chat": plan.tokenizer.is_chat,
        "text": "stream" if plan.config.text == "stream" else None,
        "engine": None if plan.engine == "compiled" else plan.engine,
        "dtype": None if plan.dtype == DEFAULT_DTYPE[plan.engine] else plan.dtype,
    }

    def differing(names: Iterable[str], usual: Settings) -> dict[str, object]:
        return {
            name: recorded[name] for name in names if recorded[name] != getattr(usual, name, None)
        }

    facts = differing(DATA, Settings())
    recorded["steps"], recorded["until"] = _legs(plan)[0]
    budget = plan.given.get("budget")
    if budget or plan.extra:
        facts |= {"budget": budget, "until": recorded["until"]}
        facts |= {"steps": recorded["steps"] if budget else None}
        facts |= {"from_": "PARENT" if plan.parent_sha256 else None}
        if ensemble := plan.ensemble:
            facts |= {"steps": ensemble.teacher.steps, "n_teachers": ensemble.n_teachers}
    elif plan.parent_sha256:
        facts |= {**differing(STEP, Settings()), "from_": "PARENT"}
    else:
        facts["preset"] = preset = plan.given.get("preset", "karpathy")
        facts |= differing((*SHAPE, *STEP), Settings.from_dict(preset_settings(preset)))
    if plan.tokenizer.kind == "bpe":
        facts |= {"tokenizer": "bpe", "vocab_size": plan.model.vocab_size}
    words = ["microgpt train"]
    for name, value in facts.items():
        if value is not None and value is not False:
            text = "" if value is True else shlex.quote(str(value))
            words.append(f"{FILES.get(name) or flag(name)} {text}".rstrip())
    for each in plan.teachers:
        words.append(f"--teacher {shlex.quote(str(path_from_text(each.directory)))}")
    return " ".join(words)


def _legs(plan: "TrainingPlan") -> tuple[tuple[int, int | None], ...]:
    """Return the number of steps of each part of a run, and the step at which it ended."""
    return *plan.legs, (plan.config.steps, plan.config.until)


def _ensemble(training: Mapping[str, object]) -> dict[str, str]:
    """Return the formatted properties of the ensemble if the model is the student of one."""
    found = training.get("ensemble")
    if not isinstance(found, Mapping):
        return {}
    try:
        n, n_samples, steps = found["n_teachers"], found["n_samples"], found["teacher"]["steps"]
        text = f"{n:,} teachers, {steps:,} steps each; {n_samples:,} generated documents"
        if isinstance(weight := found.get("ngram_weight"), float) and 0 < weight < 1:
            text += f", also predicted by an n-gram model with weight {weight:g}"
    except (TypeError, KeyError, ValueError):  # damaged
        return {}
    return {"ensemble": text}


def _losses(training: Mapping[str, object]) -> dict[str, str]:
    """Return formatted losses, with the steps at which they were measured if known."""
    from microgpt import N_RECENT, bounds_of

    steps = training.get("steps")
    n_steps = min(N_RECENT, steps) if isinstance(steps, int) else N_RECENT
    notes = {"train_loss": f" (mean of the last {n_steps} steps)"}
    if "best_step" in training:
        notes["val_loss"] = f" (lowest, at step {training['best_step']})"
        if "ensemble" in training and training["best_step"] == 0:
            notes["val_loss"] = " (of a teacher, because the student was no better)"
    for name, part in (("val_loss", "validation"), ("test_loss", "test")):
        notes[name] = f"{notes.get(name, '')}{bounds_of(training, part) or ''}"
    losses = {name: loss for name in notes if isinstance(loss := training.get(name), float)}
    return {name: f"{loss:.4f}{notes[name]}" for name, loss in losses.items()}
