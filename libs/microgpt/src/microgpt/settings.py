"""All settings of a training run.

A user, a preset (see presets.toml) or a genome (the result of a search) gives some of them as a
mapping from names to values. The others are chosen by `training.choice` or have Karpathy's values.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from microgpt.config import LESS_THAN_1, MAX_THREADS, POSITIVE, Given, TrainConfig, training
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE
from microgpt.data.tokenizer import TokenizerKind
from microgpt.errors import ConfigError
from microgpt.model_config import ModelConfig, checked, setting

Config = TypeVar("Config")
data = partial(setting, panel="Data")


@dataclass(frozen=True)
class Settings(TrainConfig, ModelConfig):
    """Settings of the model, the training and the data. Raises ConfigError if one is invalid."""

    minutes: float | None = training(
        None,
        "Choose all settings for this time limit. It applies to the whole command "
        "except compilation; some documents are held out for validation and testing.",
        short=True,
        limits=POSITIVE,
    )
    budget: float | None = training(
        None,
        "Like --minutes, but limits the number of operations, such as 5e13, so the result does not "
        "depend on the speed. `train --minutes` prints the number that reproduces its model.",
        limits=POSITIVE,
    )
    chat: bool = data(False, "Train on conversations.", short=True)
    column: str | None = data(
        None, "Read this column of a CSV or TSV file, or this field of JSON objects.", short=True
    )
    separator: str | None = data(
        None, "Line that separates documents of several lines, such as %, or blank."
    )
    me: str | None = data(
        None, "Name of the participant who is the assistant in an exported chat between people."
    )
    val_fraction: float = data(
        0.0,
        "Fraction of documents to hold out for validation. The weights with the lowest held-out "
        "loss are kept.",
        short=True,
        limits=LESS_THAN_1,
    )
    test_fraction: float = data(
        0.0, "Fraction of documents to hold out for the final test loss.", limits=LESS_THAN_1
    )
    tokenizer: TokenizerKind = data("char", "char: one token per character. bpe: subword tokens.")
    vocab_size: int = data(
        DEFAULT_VOCAB_SIZE, "Size of the BPE vocabulary, including special tokens."
    )
    unknown: str | None = training(
        None,
        "With --chat and a table of questions, the reply to a question outside the table.  "
        "[default: I don't know.]",
    )
    threads: int = training(
        1, "Number of threads; does not change the result.", maximum=MAX_THREADS
    )
    preset: str | None = setting(
        None,
        "Start from a tested recipe, such as names-60s, text, shakespeare or chat, and its data; "
        "other options override them.  "
        "names-10s, names-60s, names-600s: train on names for about that many seconds.  "
        "text-60s, text (180 s), text-300s, text-1000s: train on your longer texts, with --data.  "
        "shakespeare: the text recipe on Tiny Shakespeare.  chat: train a small assistant in about "
        "five minutes.  karpathy: the default settings.",
        panel="Model",
        metavar="NAME",
        short=True,
    )
    # The following settings are set by a genome, an earlier training run or a caller in Python.
    genome: str | None = setting(None, "SHA-256 of the genome.json that defines settings.")
    n_tokens: int | None = setting(None, "Number of tokens per training step.")
    # By default, `hold_out` derives the gap from the context length.
    gap: int | None = setting(None, "Unused characters around a held-out stretch.", minimum=0)
    fold: bool = setting(False, "Whether to fold case and accents; see `FoldingTokenizer`.")
    single: bool = setting(False, "Whether to train one model instead of an ensemble.")
    n_teachers: int = training(
        0,
        "Number of models that teach the final one, if the text is small enough. 0: as "
        "many as the budget allows.",
        minimum=0,
    )
    student_length: float = setting(
        2.0, "Number of the student's steps, as a multiple of a teacher's.", limits=POSITIVE
    )

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        ModelConfig.__post_init__(self)

    @classmethod
    def from_dict(cls, given: Given) -> Self:
        """Return the defaults, overridden by given settings; raise ConfigError on a conflict."""
        check_names(given)
        check_conflicts(given)
        return cls(**given)


# Settings that a run records in addition to the model shape, training settings and split.
RECORDED = ("column", "me", "separator", "preset", "genome", "minutes", "budget", "vocab_size")
FIELDS: Mapping[str, Field[Any]] = {each.name: each for each in fields(Settings)}
PRESETS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("presets.toml").read_text(encoding="utf-8")
)


def preset_settings(name: str) -> dict[str, Any]:
    """Return the settings that a preset gives; raise ConfigError if there is no such preset."""
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r:.80}; use one of {', '.join(PRESETS)}")
    return {"preset": name, **{key: PRESETS[name][key] for key in PRESETS[name] if key in FIELDS}}


def check_names(given: Given, names: Iterable[str] = FIELDS) -> None:
    """Raise ConfigError if a name is not the name of a setting."""
    if unknown := [name for name in given if name not in names]:
        raise ConfigError(f"unknown setting {unknown[0]!r:.80}; use one of {', '.join(names)}")


def check_setting(name: str, value: Any, typed: str = "") -> None:
    """Raise ConfigError for an invalid value; its name in the error is `typed`, if given."""
    checked(typed or name, value, FIELDS[name].type, **FIELDS[name].metadata)


def flag(name: str) -> str:
    """Return the command-line option of a setting, such as --n-embd for n_embd."""
    flags = FIELDS[name].metadata["flags"]
    return flags[0] if flags else f"--{name.replace('_', '-')}"


def with_given(config: Config, given: Given) -> Config:
    """Return a copy of a configuration with the given values for its fields."""
    names = (each.name for each in fields(config))  # type: ignore[arg-type]
    found = {name: given[name] for name in names if name in given}
    return replace(config, **found)  # type: ignore[type-var]


def check_conflicts(given: Given) -> None:
    """Raise ConfigError if settings exclude each other, or one requires another that is missing."""
    has = {name for name, value in given.items() if value is not None and value is not False}
    exclusive = [("minutes", "budget"), ("minutes", "preset"), ("minutes", "steps")]
    exclusive += [("budget", "preset"), ("column", "chat"), ("separator", "chat")]
    exclusive += [("separator", "column")]
    if given.get("text") == "stream":
        exclusive += [(name, "text") for name in ("chat", "column", "separator")]
    for one, other in exclusive:
        if one in has and other in has:
            value = f" {given[other]}" if isinstance(given[other], str) else ""
            both = f"{flag(one)} cannot be used with {flag(other)}{value}"
            raise ConfigError(f"{both}; omit one of them")
    for name in ("me", "unknown"):
        if name in has and "chat" not in has:
            raise ConfigError(f"{flag(name)} requires --chat; add --chat or omit {flag(name)}")
    if "vocab_size" in has and given.get("tokenizer") != "bpe":
        what = "--vocab-size requires --tokenizer bpe"
        raise ConfigError(f"{what}; add --tokenizer bpe or omit --vocab-size")
