"""The API keys: from the environment and from a file, and whether a request shows one of them.

A file has a key a line; blank lines, and those that begin with #, are passed over. No key is kept
as it is, and no message has one.
"""

import hashlib
import logging
import os
import secrets
import stat

from microgpt.errors import ConfigError
from microgpt.files.regular_file import read_regular_file

LOG = logging.getLogger("microgpt_serve")
MOST_BYTES = 2**20  # of the file: some 20,000 keys
RULE = "must be ASCII characters without spaces"


def is_key(text: str) -> bool:
    """Whether a header can carry it; an empty one may be a variable that somebody forgot."""
    return bool(text) and all("!" <= char <= "~" for char in text)


def parse_keys(text: str, name: str) -> list[str]:
    """Return the keys in the text of a file.

    Raises:
        ConfigError: a line has no key, or one that was there before, or there is none at all; the
            sentence has the file's name and the line's number.
    """
    line_of: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() cuts comments, too
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if not is_key(key):
            raise ConfigError(f"{name}, line {number}: a key {RULE}, alone on its line")
        if key in line_of:
            raise ConfigError(f"{name}, line {number}: this key is in line {line_of[key]} already")
        line_of[key] = number
    if not line_of:
        raise ConfigError(f"{name} has no key; write one a line")
    return list(line_of)


class Keys:
    """The keys of a service; those in a file can be read again while it runs."""

    def __init__(self, key: str | None, file: str | None) -> None:
        """Read them.

        Args:
            key: one of them.
            file: has others.

        Raises:
            ConfigError: the file cannot be read, or is not as it should be.
        """
        self._key, self._file = key, file
        self._secret = secrets.token_bytes(32)
        self.names = self.read()  # of the keys that open; they tell nothing of the keys

    @property
    def are_needed(self) -> bool:
        """Whether nobody comes in without one."""
        return bool(self.names)

    def read(self) -> frozenset[str]:
        """Read the file, and return what `names` should be.

        Raises:
            ConfigError: as above.
        """
        keys = [] if self._key is None else [self._key]
        if self._file is not None:
            keys += _read(self._file)
        return frozenset(self._name(key.encode()) for key in keys)

    def find(self, shown: bytes) -> str | None:
        """Return the name of a key that is one of ours; it tells nothing of the key.

        How long it takes tells nothing either: whoever shows a key does not know the secret, so not
        what it is compared as.
        """
        name = self._name(shown)
        return name if name in self.names else None

    def _name(self, key: bytes) -> str:
        return hashlib.blake2b(key, key=self._secret, digest_size=16).hexdigest()


def _read(file: str) -> list[str]:
    try:
        content, mode = read_regular_file(file, MOST_BYTES), os.stat(file).st_mode
    except OSError as error:
        raise ConfigError(f"{file}: the API keys cannot be read: {error.strerror}") from error
    keys = parse_keys(content.decode("utf-8-sig", "replace"), file)
    if os.name == "posix" and mode & stat.S_IROTH:
        LOG.warning("every user of this machine can read the API keys: chmod o-r %s", file)
    return keys
