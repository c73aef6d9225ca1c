"""Names of settings and genes in words."""

from collections.abc import Mapping

# The others are words already, apart from underscores.
WORDS = {
    "n_embd": "width",
    "n_head": "heads",
    "n_layer": "layers",
    "block_size": "context",
    "n_ff_exp": "MLP ratio",
    "lr": "learning rate",
    "n_tokens": "tokens per step",
    "vocab_size": "vocabulary",
    "dtype": "number format",
    "warmup_steps": "warm-up steps",
    "average_tail": "averaged tail",
    "n_docs": "documents",
    "val_fraction": "held-out fraction",
}


def in_words(name: str) -> str:
    """Return the name of a setting in words, such as "learning rate"."""
    return WORDS.get(name, name.replace("_", " "))


def with_name(name: str) -> str:
    """Return a setting in words with its name in the code, such as "width (n_embd)"."""
    return f"{WORDS[name]} ({name})" if name in WORDS else in_words(name)


def value_in_words(value: object) -> str:
    """Format the value of a setting: thousands separators, four digits, and "on" or "off"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else "none" if value is None else str(value)


def describe_settings(settings: Mapping[str, object]) -> str:
    """Format settings in words, such as "width 16, learning rate 0.01"."""
    return ", ".join(f"{in_words(name)} {value_in_words(v)}" for name, v in settings.items())
