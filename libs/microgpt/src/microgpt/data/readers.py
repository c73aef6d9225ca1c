"""Readers: each recognises one kind of file and returns its documents.

The readers of other packages have entry points in the group `microgpt.readers`; see
docs/plugins.md. A file that no reader recognises is text, or has conversations in JSON.
"""

import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from microgpt.compilation import Tell
from microgpt.data import chat_exports, column_file
from microgpt.data.read_options import ReadOptions
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Documents, Message
from microgpt.errors import DataError, MicrogptError
from microgpt.plugins import PluginError, find_plugins, package, plugin

# It returns conversations if the options have `chat`, and None for a file of another kind.
Reader = Callable[[TextFile, ReadOptions, Tell | None], Documents | None]

_OWN: tuple[Reader, ...] = (chat_exports.read, column_file.read)


def read_by_kind(file: TextFile, how: ReadOptions, tell: Tell | None = None) -> Documents | None:
    """Return what the first reader returns that recognises a file, or None.

    Raises:
        DataError: the file is of a known kind, and is invalid or requires other options.
        PluginError: the reader of another package failed.
    """
    found = (read(file, how, tell) for read in (*_OWN, *_installed(tell)))
    return next((docs for docs in found if docs is not None), None)


def _installed(tell: Tell | None) -> Iterator[Reader]:
    """Yield the readers of other packages. A package that cannot be imported is told of."""
    for name, found in find_plugins("readers").items():
        try:
            read: Any = plugin("readers", name)
        except PluginError as error:
            tell(str(error)) if tell else warnings.warn(str(error), stacklevel=2)
        else:
            yield _guarded(read, package(found))


def _guarded(read: Reader, name: str) -> Reader:
    """Return a reader of a package whose errors name the package."""

    def guarded(file: TextFile, how: ReadOptions, tell: Tell | None) -> Documents | None:
        kind, what = (Message, "conversations") if how.chat else (str, "texts")
        try:
            docs = read(file, how, tell)
            parts = chain.from_iterable(docs or ()) if how.chat else docs or ()
            if docs is None or (docs and all(isinstance(part, kind) for part in parts)):
                return docs
        except MicrogptError as error:
            error.args = (f"{error} (found by {name})",)
            raise
        except Exception as error:
            raise PluginError(
                f"{name} cannot read {file.path} ({type(error).__name__}: {error}); "
                "use another file, or repair or uninstall this package"
            ) from error
        raise DataError(f"{name} found no {what} in {file.path}; use another file")

    return guarded
