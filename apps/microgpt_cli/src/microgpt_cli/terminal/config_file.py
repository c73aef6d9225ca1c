"""Options of a command from a TOML file: `--config FILE`."""

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperOption

from microgpt.errors import ConfigError


def read_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Use the options in a TOML file as the defaults of a command.

    Raises:
        ConfigError: the file cannot be read, or an option is unknown or has a wrong value.
    """
    if path is None:
        return None
    import tomllib

    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    options = _options(ctx.command)
    values: dict[str, Any] = {}
    for key, value in found.items():
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise ConfigError(
                f"{path}: unknown option {key!r}; see '{ctx.command_path} --help-all'"
            )
        values[option.name] = _checked(ctx, option, value, f"{path}: {key}")
    ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


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
        raise ConfigError(f"{where} must be {expected}, got {value!r:.80}")
    if option.multiple and not isinstance(value, list):
        value = [value]
    try:
        option.process_value(ctx, value)
    except typer.BadParameter as error:
        raise ConfigError(f"{where} is {value!r:.80}: {error.message}") from error
    return value
