"""Read a folder, or files that match a pattern such as `poems/*.txt`: one document per file."""

import os
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from microgpt.data.csv_and_json import JSON_SUFFIXES, TABLE_SUFFIXES
from microgpt.data.other_formats import refuse_markup
from microgpt.data.text_file import ReadOptions, TextFile
from microgpt.data.tokenizer import Documents
from microgpt.errors import DataError
from microgpt.formatting import count
from microgpt.plugins import Tell

HEAD = 2_000  # number of characters at the start of a file that are searched for mark-up


def read_folder(file: TextFile, how: ReadOptions, tell: Tell | None = None) -> Documents | None:
    """Return the text of each file of a folder or of a glob pattern; None for a single file.

    With `--text stream`, the texts are joined into one running text. Hidden files are omitted;
    files that are not text are omitted with a note.
    """
    path, docs, problems = file.path, list[str](), list[str]()
    is_folder = path.is_dir()
    if not is_folder and (os.path.lexists(path) or not set("*?[") & set(str(path))):
        return None
    paths = _inside(path) if is_folder else map(Path, sorted(glob(str(path), recursive=True)))
    for each in filter(Path.is_file, paths):
        is_data = each.suffix.lower() in (*JSON_SUFFIXES, *TABLE_SUFFIXES)
        if is_data or how.column or how.separator:
            problem = f"{path} has several files, such as {each.name}"
            raise DataError(f"{problem}; pass one, join them, or add --chat for a Slack export")
        try:
            text = "\n".join(TextFile(each)).strip()
            if how.text != "stream":
                refuse_markup(text[:HEAD], each)
                if text[:1] == "{" and text[-1:] == "}":
                    raise DataError(f"{each} is JSON, not text; pass it alone")
            docs.append(text)
        except DataError as error:
            problems.append(str(error))
    docs = [*filter(None, docs)]
    if not docs:
        raise DataError(problems[0] if problems else f"{path} has no text file; use another")
    if problems and tell:
        tell(f"left out {count(len(problems), 'file')}: {problems[0]}")
    file.kind, file.otherwise = "file", "--text stream: one running text"
    return "\n\n".join(docs) if how.text == "stream" else docs


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the paths of the files in a folder and its subfolders, except hidden ones."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(names) if not name.startswith("."))
