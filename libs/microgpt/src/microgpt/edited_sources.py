"""Find out whether the sources that the compiled engine implements have been edited.

The kernels are written by hand: a change in model.py changes the reference engine only. The
compiled engine therefore stores hashes of the files that it implements, and refuses any other.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from microgpt.errors import ConfigError

FOLDER = Path(__file__).parent
# The files that the kernels implement: the start of the SHA-256 of each.
IMPLEMENTED = {
    "model.py": "ffd518c89c9dfa54",
    "model_variants.py": "3ad57c9c7f9c4da4",
    "muon.py": "4f7bd60b83d2d557",
    "reference.py": "37a9f3195e6da081",
    "sampling.py": "24f21db857261c96",
    "value.py": "1058c1138bbb7a7e",
}


@cache
def find_edited_sources() -> dict[str, str]:
    """Return the hash of each file that is not the one that the kernels implement."""
    return {name: found for name, found in file_hashes().items() if found != IMPLEMENTED[name]}


def edit_missing_in(what: str) -> str:
    """Return what is edited and that another implementation does not have it; "" if nothing is."""
    if not (edited := find_edited_sources()):
        return ""
    have = "has" if len(edited) == 1 else "have"
    return f"{' and '.join(edited)} {have} been edited, and {what} does not implement the change"


def check_unedited(what: str) -> None:
    """Raise ConfigError if another implementation does not implement the current sources."""
    if problem := edit_missing_in(what):
        raise ConfigError(f"{problem}; undo the edit")


def file_hashes() -> dict[str, str]:
    """Return the hash of each file as it is, whatever its line endings."""
    texts = {name: (FOLDER / name).read_text(encoding="utf-8") for name in IMPLEMENTED}
    return {name: sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def files_hash() -> str:
    """Return one hash of all files."""
    return sha256(repr(file_hashes()).encode()).hexdigest()
