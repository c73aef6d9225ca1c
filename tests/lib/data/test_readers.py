"""Readers of other packages, beside the library's own."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from microgpt import Message, load_conversations, load_text, plugins
from microgpt.errors import DataError
from microgpt.plugins import PluginError

NAMES = "anna\nemma\n"
TALK = [(Message("user", "hi"), Message("assistant", "yo"))]


def upper(file, how, tell):
    """Read files of two kinds; fail, or find nothing, in others."""
    if how.chat:
        return TALK
    if file.path.suffix == ".bad":
        raise KeyError("title")
    return {".up": [line.upper() for line in file], ".none": []}.get(file.path.suffix)


@pytest.fixture
def installed(monkeypatch):
    """Install readers, by their modules."""

    def install(*values: str) -> None:
        found = EntryPoints(EntryPoint(value, value, "microgpt.readers") for value in values)
        monkeypatch.setattr(plugins, "_installed", lambda: found)

    return install


@pytest.fixture
def upper_reader(installed, monkeypatch) -> None:
    monkeypatch.setattr(plugins, "upper", upper, raising=False)
    installed("microgpt.plugins:upper")


@pytest.mark.usefixtures("upper_reader")
def test_a_reader_reads_the_files_of_its_kind_and_no_others(write) -> None:
    assert load_text(write(NAMES, "a.up")) == ["ANNA", "EMMA"]
    assert load_text(write(NAMES)) == ["anna", "emma"]
    assert load_conversations(write(NAMES)) == TALK


@pytest.mark.usefixtures("upper_reader")
@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("a.bad", PluginError, "a.bad .KeyError: 'title'.; repair or uninstall"),
        ("a.none", DataError, "microgpt.plugins found no texts in .*a.none; use another file"),
    ],
)
def test_the_error_of_a_reader_names_its_package(write, name, kind, problem) -> None:
    with pytest.raises(kind, match=problem) as error:
        load_text(write(NAMES, name))
    assert "microgpt.plugins" in str(error.value)


def test_files_are_read_although_a_reader_cannot_be_imported(installed, write) -> None:
    installed("gone.module:read")
    notes: list[str] = []
    assert load_text(write(NAMES), tell=notes.append) == ["anna", "emma"]
    assert "gone.module cannot be imported" in notes[0]
    with pytest.warns(UserWarning, match=r"gone\.module cannot be imported"):
        load_text(write(NAMES))


@pytest.mark.parametrize("me", ["Anna", None])
def test_exported_chats_require_a_package(installed, write, me) -> None:
    installed()
    with pytest.raises(DataError, match="microgpt-chat-exports"):
        load_conversations(write(NAMES), me=me)
