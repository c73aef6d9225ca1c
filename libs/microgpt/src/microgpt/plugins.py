"""Load plug-ins (see docs/plugins.md), forward messages from engines, and draw charts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from typing import Any

from microgpt.errors import ConfigError, MicrogptError
from microgpt.formatting import printable

GROUPS = ("commands", "engines", "readers", "exports", "pages", "replies", "recipes", "plotting")

Tell = Callable[[str], None]  # shows a note to the user, for example about a slow start
_tell: ContextVar[Tell | None] = ContextVar("_tell", default=None)


class PluginError(MicrogptError):
    """A package with a plug-in, such as a command, an engine or a format, cannot be used."""


class EngineWarning(UserWarning):
    """Warning that the compiled engine cannot be used, so the default is the reference engine."""


def find_plugins(group: str) -> dict[str, EntryPoint]:
    """Return the plug-ins of a group by name, without importing them."""
    return {found.name: found for found in _installed()[group]}


def plugin(group: str, name: str) -> Any | None:
    """Return a plug-in, or None if it is not installed; raise PluginError if it is unusable."""
    found = [each for each in _installed()[group] if each.name == name]
    if len(found) > 1:
        packages = " and ".join(sorted({package(each) for each in found}))
        raise PluginError(f"{packages} both add {name} to {group}; uninstall one of them")
    for each in found:
        try:
            return each.load()
        except (Exception, SystemExit) as error:
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise PluginError(
                f"{package(each)} cannot be imported ({problem}); repair or uninstall this package"
            ) from error
    return None


@contextmanager
def blaming(entry: EntryPoint, problem: str) -> Iterator[None]:
    """Convert an unexpected exception to a PluginError that names the plug-in's package."""
    try:
        yield
    except (MicrogptError, MemoryError, OSError):
        raise
    except Exception as error:
        module, place = entry.module.partition(".")[0], ""
        for frame, line in walk_tb(error.__traceback__):  # it can also be raised in a library
            if frame.f_globals.get("__name__", "").partition(".")[0] == module:
                place = f", in line {line} of {frame.f_code.co_filename}"
        what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        found = f"{package(entry)} {problem} ({what}{place})"
        raise PluginError(f"{found}; repair or uninstall this package") from error


def package(found: EntryPoint) -> str:
    """Return the name of the package that provides a plug-in."""
    return found.dist.name if found.dist else found.module


def check_extra(extra: str, what: str, *names: str) -> None:
    """Raise ConfigError if a feature requires an extra whose modules cannot be imported."""
    for name in names:
        try:
            import_module(name)
        except (ImportError, OSError) as error:  # OSError: a system library is missing
            problem = printable(" ".join(str(error).split()))
            raise ConfigError(
                f"{what} require {extra} ({problem}); run: "
                f"pip install '{extra}', or with uv: uv pip install '{extra}'"
            ) from error


class Plottable:
    """Base class of results that can be plotted."""

    def plot(self) -> Any:
        """Return an Altair chart; `result.plot().save("losses.png")` saves an image.

        Raise MicrogptError if microgpt-cli[plots] is missing, or there is nothing to plot.
        """
        chart = plugin("plotting", "chart")
        if chart is None:
            raise MicrogptError(
                "charts require the package microgpt-cli; run: pip install 'microgpt-cli[plots]'"
            )
        return chart(self)


@contextmanager
def on_compiling(tell: Tell) -> Iterator[None]:
    """In a `with` block, pass each distinct message from an engine to `tell` once."""
    token = _tell.set(cache(tell))  # `cache` suppresses repetitions
    try:
        yield
    finally:
        _tell.reset(token)


def report(line: str) -> None:
    """Pass a message from an engine to the function that `on_compiling` was given, if any."""
    if tell := _tell.get():
        tell(line)


@cache
def _installed() -> dict[str, list[EntryPoint]]:
    """Return the plug-ins by group, cached because reading all entry points is slow."""
    found = entry_points()
    return {group: list(found.select(group=f"microgpt.{group}")) for group in GROUPS}
