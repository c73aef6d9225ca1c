"""Options of a command from a TOML file: `--config FILE`."""

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperOption

from microgpt.errors import ConfigError
from microgpt.files.atomic_files import read

MAX_BYTES = 2**15  # for a key of as many parts as fit, tomllib takes seconds
FILES = "microgpt.files"  # in the metadata of a typer.Context: the file of each parameter


def read_config(ctx: typer.Context, paths: list[Path] | None) -> list[Path] | None:
    """Use the options in TOML files as the defaults of a command; a later file has priority.

    Raises:
        ConfigError: a file cannot be read, or an option is unknown or has a wrong value.
    """
    for path in paths or ():
        values = _read(ctx, path)
        ctx.default_map = {**(ctx.default_map or {}), **values}
        ctx.meta.setdefault(FILES, {}).update(dict.fromkeys(values, str(path)))
    return paths


def origins(ctx: typer.Context) -> dict[str, str]:
    """Return the file of each parameter whose value comes from a TOML file."""
    files: dict[str, str] = ctx.meta.get(FILES, {})
    sources = {name: str(ctx.get_parameter_source(name)) for name in files}
    return {name: files[name] for name in files if sources[name].endswith("DEFAULT_MAP")}


def _read(ctx: typer.Context, path: Path) -> dict[str, object]:
    """Read the options in a file; return their values by parameter name."""
    import tomllib

    try:
        found = tomllib.loads(read(path, MAX_BYTES, ConfigError).decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    options = _options(ctx.command)
    values: dict[str, object] = {}
    for key, value in found.items():
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise ConfigError(
                f"{path}: unknown option {key!r}; see '{ctx.command_path} --help-all'"
            )
        if option.name in values:
            raise ConfigError(f"{path}: {option.opts[0]} is given twice")
        values[option.name] = _checked(ctx, option, value, f"{path}: {key}")
    return values


def _options(command: Any) -> dict[str, TyperOption]:
    """Return the options of a command by name. An option may have several names."""
    options = [param for param in command.params if isinstance(param, TyperOption)]
    found = {name: param for param in options if param.expose_value for name in param.opts}
    found |= {old: found[new] for old, new in command.old_names.items()}
    return {name.lstrip("-"): option for name, option in found.items()}


def _checked(ctx: Any, option: TyperOption, value: Any, where: str) -> Any:
    """Return the value of an option; raise ConfigError if the type or the value is wrong."""
    if isinstance(value, bool) != option.is_flag:
        expected = "true or false" if option.is_flag else "a number or a string"
        raise ConfigError(f"{where} must be {expected}, got {_shown(value)}")
    if isinstance(value, list) and option.metavar == "<list>":
        value = ",".join(map(str, value))
    if option.multiple and not isinstance(value, list):
        value = [value]
    try:
        option.process_value(ctx, value)
    except typer.BadParameter as error:
        problem = error.message.replace("Value error, ", "").partition(" for <class")[0].rstrip(".")
        raise ConfigError(f"{where} is {_shown(value)}: {problem}") from error
    return value


def _shown(value: Any) -> str:
    """Format a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r:.80}" if isinstance(value, str | list | dict) else f"{value!s:.80}"
