"""Detect edits of the source files that the compiled engine reimplements.

The kernels are written by hand: a change in model.py affects the reference engine only. So
`training.engines` refuses the compiled engine if a file does not match its hash in IMPLEMENTED.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from microgpt.errors import ConfigError

FOLDER = Path(__file__).parent
# The first 16 hexadecimal digits of the SHA-256 of each file that the kernels reimplement.
IMPLEMENTED = {
    "model.py": "da1c7e5d686b2319",
    "model_variants.py": "9e2705800c090077",
    "muon.py": "bd47cc4845711333",
    "reference.py": "40fcb6cc798dfdce",
    "sampling.py": "04feb1a660153933",
    "value.py": "5e4494bfe04d38b4",
}


@cache
def find_edited_sources() -> dict[str, str]:
    """Return the current hash of each file that does not match its hash in IMPLEMENTED."""
    return {name: found for name, found in file_hashes().items() if found != IMPLEMENTED[name]}


def edit_missing_in(what: str) -> str:
    """Return a message saying that `what` does not implement the edits; "" if there are none."""
    if not (edited := find_edited_sources()):
        return ""
    have = "has" if len(edited) == 1 else "have"
    return f"{' and '.join(edited)} {have} been edited, and {what} does not implement the change"


def check_unedited(what: str) -> None:
    """Raise ConfigError if any file was edited, saying that `what` does not implement the edit."""
    if problem := edit_missing_in(what):
        raise ConfigError(f"{problem}; undo the edit")


def file_hashes() -> dict[str, str]:
    """Return the current hash of each file in IMPLEMENTED, independent of its line endings."""
    texts = {name: (FOLDER / name).read_text(encoding="utf-8") for name in IMPLEMENTED}
    return {name: sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def files_hash() -> str:
    """Return one hash of the current content of all files in IMPLEMENTED."""
    return sha256(repr(file_hashes()).encode()).hexdigest()
