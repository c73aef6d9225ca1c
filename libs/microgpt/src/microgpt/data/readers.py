"""Ask the readers of packages, and that of tables, for the documents of a file.

Readers have entry points in the group `microgpt.readers`; see docs/plugins.md. A file that no
reader recognises is text, or has conversations in JSON.
"""

import warnings
from collections.abc import Callable

from microgpt.compilation import Tell
from microgpt.data.column_file import check_is_text, load_column
from microgpt.data.read_options import ReadOptions
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Documents
from microgpt.errors import DataError
from microgpt.plugins import PluginError, blaming, find_plugins, package, plugin

# It returns conversations if the options have `chat`, and None for a file of another kind.
Reader = Callable[[TextFile, ReadOptions, Tell | None], Documents | None]


def read_by_kind(file: TextFile, how: ReadOptions, tell: Tell | None = None) -> Documents | None:
    """Return what the first reader returns that recognises a file, or None.

    Args:
        tell: called with notes for the user, such as that a package cannot be imported.

    Raises:
        DataError: the file is of a known kind, and is invalid or requires other options.
        PluginError: the reader of a package failed.
    """
    for name, entry_point in find_plugins("readers").items():
        try:
            read: Reader | None = plugin("readers", name)
        except PluginError as error:
            tell(str(error)) if tell else warnings.warn(str(error), stacklevel=2)
            continue
        assert read
        with blaming(package(entry_point), f"cannot read {file.path}"):
            docs = read(file, how, tell)
        if docs:
            return docs
        if docs is not None:
            what = f"no {'conversations' if how.chat else 'texts'} in {file.path}"
            raise DataError(f"{package(entry_point)} found {what}; use another file")
    if how.column is not None:
        return load_column(file, how.column, tell=tell)
    if not how.chat and how.separator is None and how.text != "stream":
        check_is_text(file)
    return None
