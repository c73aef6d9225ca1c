"""Plug-ins: what other packages add, found by their entry points.

A package names its objects in its pyproject.toml, under `[project.entry-points."microgpt.GROUP"]`:

    group      name        object
    commands   a command   a function with Typer's options, or a Typer app
    engines    an engine   a module with the functions of `microgpt.training.engines.EngineModule`
    readers    a kind      a function from a file and options to documents, or None
    exports    a format    a `microgpt.exports.ExportFormat`
    pages      a page      a function from a model to HTML, which the service shows at /
    replies    a plug-in   a module with the functions of `microgpt.replies.ReplyPlugin`
    recipes    an option   a function from a file to options of `microgpt train`
    plotting   a result    a function from a result to a chart (`microgpt.plotting`)

docs/plugins.md has an example of each kind that others may add.
"""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from microgpt.errors import ConfigError, MicrogptError
from microgpt.printable_text import printable

GROUPS = ("commands", "engines", "readers", "exports", "pages", "replies", "recipes", "plotting")


class PluginError(MicrogptError):
    """A package that adds a command, an engine or a format cannot be used."""


def find_plugins(group: str) -> dict[str, EntryPoint]:
    """Return the plug-ins of a group by name, without importing them."""
    return {found.name: found for found in _installed().select(group=f"microgpt.{group}")}


def plugin(group: str, name: str) -> Any | None:
    """Return the object of a plug-in, or None if no package has it.

    Raise PluginError if its package cannot be imported, or another package has the same name.
    """
    found = _installed().select(group=f"microgpt.{group}", name=name)
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
def blaming(name: str, problem: str) -> Iterator[None]:
    """Convert an unexpected exception of a package to a PluginError that has its name."""
    try:
        yield
    except (MicrogptError, MemoryError, OSError):
        raise
    except Exception as error:
        found = f"{name} {problem} ({type(error).__name__}: {error})"
        raise PluginError(f"{found}; repair or uninstall this package") from error


def package(found: EntryPoint) -> str:
    """Return the name of the package that has a plug-in."""
    return found.dist.name if found.dist else found.module


def summary(found: EntryPoint) -> str:
    """Return the first line of the docstring of a plug-in's module, which is not imported."""
    name, path = "", None
    spec: Any = None
    try:
        for part in found.module.split("."):
            name = f"{name}.{part}".lstrip(".")
            spec = PathFinder.find_spec(name, path)
            path = spec.submodule_search_locations
        text = ast.get_docstring(ast.parse(spec.loader.get_source(name)))
    except (AttributeError, ImportError, SyntaxError, OSError, ValueError):
        return f"(cannot be read; repair or uninstall {package(found)})"
    return (text or "").partition("\n")[0]


def check_extra(extra: str, what: str, *names: str) -> None:
    """Raise ConfigError if a package of an extra, which a feature requires, cannot be imported."""
    for name in names:
        try:
            import_module(name)
        except (ImportError, OSError) as error:  # OSError: a library of the system is missing
            problem = printable(" ".join(str(error).split()))
            raise ConfigError(
                f"{what} require {extra} ({problem}); run: "
                f"pip install '{extra}', or with uv: uv pip install '{extra}'"
            ) from error


@cache
def _installed() -> EntryPoints:
    """Return the plug-ins of all groups; to select them from all entry points takes long."""
    found = entry_points()
    return EntryPoints(each for group in GROUPS for each in found.select(group=f"microgpt.{group}"))
