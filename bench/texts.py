"""Texts of different kinds, for which `bench/ladder.py` trains models.

Those from the standard library depend on the version of Python. A text is written once, to a
temporary folder.
"""

import re
import sys
import sysconfig
import tempfile
import tokenize
from pathlib import Path

from microgpt import bundled, publish

FILES = Path(tempfile.gettempdir(), "microgpt-texts")
CONVERSION_TABLES, TOPICS = "encodings", "pydoc_data"  # packages with little program code


def text_of(name: str) -> Path:
    """Return the file of a text."""
    if name in ("names", "shakespeare"):
        return bundled(f"{name}.txt")
    path = FILES / f"{name}.txt"
    if not path.exists():
        publish(FILES, {path.name: TEXTS[name]().encode()})
    return path


def _identifiers() -> str:
    """Return the functions and classes of the standard library, in order of their paths."""
    root = Path(sysconfig.get_path("stdlib"))
    packages = sys.stdlib_module_names - {CONVERSION_TABLES, TOPICS}
    names: dict[str, None] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in packages and not {"test", "tests", "idle_test"} & set(parts):
            with tokenize.open(path) as file:
                found = re.findall(r"^ *(?:def|class) (\w+)", file.read(), re.MULTILINE)
            names |= dict.fromkeys(found)
    return "".join(f"{name}\n" for name in names)


def _technical_prose() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics))


TEXTS = {"identifiers": _identifiers, "technical prose": _technical_prose}
