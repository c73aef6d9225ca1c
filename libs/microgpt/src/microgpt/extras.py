"""Check that the packages of an extra are installed, and convert their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from microgpt.errors import CheckpointError, ConfigError
from microgpt.printable import printable


def check_extra(extra: str, what: str, *names: str, package: str = "microgpt-lib") -> None:
    """Raise ConfigError if a package of an extra cannot be imported.

    Args:
        what: feature that requires the extra, such as "ONNX files".
        package: ours that has the extra.
    """
    for name in names:
        try:
            import_module(name)
        except (ImportError, OSError) as error:  # OSError: a library of the system is missing
            raise ConfigError(
                f"{what} require the extra {extra} ({_one_line(error)}); run: "
                f"pip install '{package}[{extra}]', or with uv: "
                f"uv pip install '{package}[{extra}]'"
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
