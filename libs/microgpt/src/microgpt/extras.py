"""Check that the packages of an extra are installed, and convert their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from microgpt.errors import CheckpointError, ConfigError
from microgpt.printable import printable


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
            raise ConfigError(
                f"{what} require {extra} ({_one_line(error)}); run: "
                f"pip install '{extra}', or with uv: uv pip install '{extra}'"
            ) from error


@contextmanager
def running(program: str) -> Iterator[None]:
    """Convert any exception of a program to a CheckpointError; they have no common base class."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(f"{program} cannot run the model: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))
