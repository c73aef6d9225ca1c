"""Generate the Python API reference: directives that mkdocstrings replaces with docstrings."""

from collections.abc import Iterable
from types import ModuleType

import microgpt
import microgpt_evolution

MODULES = ("model", "reference", "value", "data.split", "evaluation")


def page() -> str:
    """Return the reference, without its introduction, as directives for mkdocstrings."""
    sections = {
        "microgpt": public(microgpt),
        "Modules of microgpt": [f"microgpt.{name}" for name in MODULES],
        "microgpt_evolution": public(microgpt_evolution),
    }
    return "\n".join(section(title, names) for title, names in sections.items())


def public(package: ModuleType) -> Iterable[str]:
    """Yield the qualified name of each public object of a package that imports them lazily."""
    for name in package.__all__:
        defined = getattr(package, name)
        yield f"{defined.__module__}.{defined.__qualname__}"


def section(title: str, names: Iterable[str]) -> str:
    """Return a section with a mkdocstrings directive for each name."""
    return "\n\n".join([f"## {title}", *(f"::: {name}" for name in names), ""])
