"""Packages that only some exports need."""

from importlib import import_module

from microgpt.errors import ConfigError
from microgpt.printable import printable


def check_extra(extra: str, what: str, *names: str) -> None:
    """Raise ConfigError if a package of an extra cannot be imported.

    Args:
        what: requires the extra, such as "ONNX files".
    """
    for name in names:
        try:
            import_module(name)
        except (ImportError, OSError) as error:  # OSError: a library of the system is missing
            problem = printable(" ".join(str(error).split()))
            raise ConfigError(
                f"{what} require the extra {extra} ({problem}); run: "
                f"pip install 'microgpt-lib[{extra}]'"
            ) from error
