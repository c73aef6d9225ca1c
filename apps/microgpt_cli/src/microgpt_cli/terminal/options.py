"""Options shared by several commands, and their help panels."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from inspect import Parameter, Signature, get_annotations
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import typer

from microgpt import DEFAULT_SEED, ConfigError, Sampling, Settings, check_seed
from microgpt_cli.terminal.console import note

T = TypeVar("T")
PANELS = ("Data", "Training", "Model", "Saving", "Output")  # in the order of `train --help-all`
DEFAULT_MODEL_DIR = Path("output")
DEFAULT_TEXT, DEFAULT_CHAT = "names.txt", "chat.jsonl"  # files in ./data, or bundled copies


def option(default: Any, help: str, *flags: str, **facts: Any) -> Any:
    """Return an option to use as a parameter's default; `facts` are passed to typer.Option."""
    return typer.Option(default, *flags, help=help, **facts)


def flag(name: str, help: str, *others: str) -> Any:
    """Return an option that takes no value, to use as a parameter's default."""
    return typer.Option(False, name, *others, help=help)


def argument(default: Any, help: str, metavar: str, **facts: Any) -> Any:
    """Return a positional argument to use as a parameter's default."""
    return typer.Argument(default, help=help, metavar=metavar, **{"show_default": False, **facts})


MODEL = ("--model", "--model-dir")  # --model-dir: as in the systems of docs/original_apis.md
DATA = ("--data", "--input")
LR = ("--learning-rate", "--lr")
MODEL_HELP = "Directory of the model."
OR_DEMO = f"default: {DEFAULT_MODEL_DIR}, else the demo model"
MODEL_OR_OUTPUT = option(None, f"{MODEL_HELP}  [default: {DEFAULT_MODEL_DIR}]", *MODEL)
MODEL_THEN = "A model directory, which can be omitted or passed with --model, and"
MODEL_ARGUMENT = argument(None, f"{MODEL_HELP}  [default: {DEFAULT_MODEL_DIR}]", "MODEL")
SERVED_MODELS = argument(
    None,
    "One or more model directories, as DIR or NAME=DIR, or a directory of models.  "
    f"[env: MODEL_DIR; {OR_DEMO}]",
    "MODEL",
)
MODEL_OPTION = typer.Option(None, *MODEL, hidden=True)
CHART_HELP = "Chart file, .png or .svg; can be repeated."
AS_JSON = flag("--json", "Print one JSON document.")
SEED_HELP = "Random seed; the same seed gives the same result."
THREADS = option(1, "Number of threads; does not change the result.")
TEXT_HELP = "UTF-8 text, one document per line"


def field_option(
    kind: Any, name: str, panel: str | None = None, *, is_short: bool = False, usual: str = ""
) -> Any:
    """Return the option of a dataclass field.

    If `is_short` is true, `--help` lists the option. `usual` describes a model-dependent default.
    """
    field = kind.__dataclass_fields__[name]
    facts = field.metadata
    return option(
        None if usual else field.default,
        f"{facts['help']}  [default: {usual}]" if usual else facts["help"],
        *(facts.get("flags") or [f"--{name.replace('_', '-')}"]),
        rich_help_panel=facts.get("panel", panel),
        hidden=not (is_short or facts.get("short")),
        metavar=facts.get("metavar"),
    )


COLUMN, ME, SEPARATOR = (
    field_option(Settings, name, is_short=True) for name in ("column", "me", "separator")
)
sampling_option = partial(field_option, Sampling, panel="Sampling")


def one_of(argument: T | None, option: T | None, flag: str) -> T | None:
    """Return the given argument or option; raise ConfigError if both are given."""
    if argument and option:
        raise ConfigError(f"{flag} cannot be combined with the positional argument; omit {flag}")
    return argument or option or None


def model_of(argument: Path | None, option: Path | None) -> Path:
    """Return the given model directory, else the default one, `output`."""
    return one_of(argument, option, "--model") or DEFAULT_MODEL_DIR


def texts_and_model(words: list[str] | None, model: Path | None) -> tuple[list[str], Path | None]:
    """Return the texts and the model of a command with the arguments [MODEL] [TEXT].

    Unless --model is given, the first of several arguments is the model. A single argument is a
    text, unless it is the path of a model.
    """
    texts = words or []
    if model or not texts:
        return texts, model
    from difflib import get_close_matches

    from microgpt import is_model_directory

    if texts[0] and is_model_directory(path := Path(texts[0])):
        return texts[1:], path
    if len(texts) > 1:
        raise ConfigError(f"{texts[0]!r:.80} is not a model; name a model, then one quoted text")
    if texts[0] and os.path.isdir(path.parent):
        models = [each.name for each in path.parent.glob("*") if is_model_directory(each)]
        for name in get_close_matches(path.name, models, n=1):
            note(f"{texts[0]!r:.80} is a text, as there is no such model; did you mean {name}?")
    return texts, None


def one_text(texts: list[str]) -> str | None:
    """Return the text of a command, or None if none is given; raise ConfigError for several."""
    if len(texts) > 1:
        raise ConfigError(f"{len(texts)} texts are given, but only one can be; put it in quotes")
    return texts[0] if texts else None


def seed_option(what: str) -> Any:
    """Return the option --seed of a command that draws each `what` with a separate seed."""
    help = f"Seed of the first {what}, or random; incremented by 1 for each further {what}."
    return option(str(DEFAULT_SEED), help, metavar="<int>|random")


def seed_of(text: str) -> int:
    """Parse a seed; for the text "random", draw a seed and print it."""
    if text == "random":
        import secrets

        seed = secrets.randbits(32)
        note(f"--seed {seed}")
        return seed
    try:
        return check_seed(int(text))
    except ValueError:
        raise ConfigError(f"seed must be an integer or random, got {text!r:.20}") from None


def with_options(kind: Any) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Return a decorator that turns the fields of a dataclass into options of a command.

    The command receives an object of the dataclass. If the class has a field `given`, the command
    also has the options of `microgpt.Settings`, and `given` contains those that the user sets.
    """

    def decorate(command: Callable[[Any], None]) -> Callable[..., None]:
        has_settings = "given" in kind.__dataclass_fields__

        def run(ctx: typer.Context, **values: Any) -> None:
            facts = {name: values.pop(name) for name in kind.__dataclass_fields__ if name in values}
            if has_settings:
                sources = {name: ctx.get_parameter_source(name) for name in values}
                typed = [name for name, each in sources.items() if each and each.name != "DEFAULT"]
                facts["given"] = {name: values[name] for name in typed}
            command(kind(**facts))

        options = [*_options_of(kind)]
        if has_settings:
            options += _options_of(Settings)
            options.sort(key=lambda each: PANELS.index(each.default.rich_help_panel))
        context = Parameter("ctx", Parameter.KEYWORD_ONLY, annotation=typer.Context)
        run.__signature__ = Signature([context, *options])  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _options_of(kind: Any) -> Iterator[Parameter]:
    """Yield an option for each dataclass field with a help panel; inherited fields come last."""
    hints, fields = get_type_hints(kind), kind.__dataclass_fields__
    for name in dict.fromkeys([*get_annotations(kind), *fields]):
        if "panel" in fields[name].metadata:
            option = field_option(kind, name)
            yield Parameter(name, Parameter.KEYWORD_ONLY, default=option, annotation=hints[name])
