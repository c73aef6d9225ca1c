"""Settings as text for charts and reports."""

from collections.abc import Mapping


def value_text(value: object) -> str:
    """Format the value of a setting: thousands separators, four digits, and "on" or "off"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else "none" if value is None else str(value)


def describe_settings(settings: Mapping[str, object]) -> str:
    """Format settings, such as "n_embd 16, lr 0.01"."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in settings.items())
