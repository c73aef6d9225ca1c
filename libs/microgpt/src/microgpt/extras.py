"""Check that the packages of an extra are installed."""

from importlib import import_module

from microgpt.errors import ConfigError
from microgpt.printable_text import printable


def check_extra(extra: str, what: str, *names: str) -> None:
    """Raise ConfigError if a package of an extra cannot be imported.

    Args:
        extra: with the package that has it, such as "microgpt-exports[onnx]".
        what: feature that requires the extra, such as "ONNX files".
    """
    for name in names:
        try:
            import_module(name)
        except (ImportError, OSError) as error:  # OSError: a library of the system is missing
            problem = printable(" ".join(str(error).split()))
            raise ConfigError(
                f"{what} require {extra} ({problem}); run: "
                f"pip install '{extra}', or with uv: uv pip install '{extra}'"
            ) from error
