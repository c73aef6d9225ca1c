"""Presets: tested training recipes, in presets.toml."""

import tomllib
from pathlib import Path
from typing import Any

from microgpt.errors import ConfigError
from microgpt.settings import FIELDS

PRESETS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("presets.toml").read_text(encoding="utf-8")
)


def preset_settings(name: str) -> dict[str, Any]:
    """Return the settings that a preset gives.

    Raises:
        ConfigError: there is no preset of this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r:.80}; use one of {', '.join(PRESETS)}")
    return {
        "preset": name,
        **{key: fact for key, fact in PRESETS[name].items() if key in FIELDS},
    }
