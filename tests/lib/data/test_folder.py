import os
from pathlib import Path

import pytest

from microgpt.data.documents import load_documents
from microgpt.data.text_file import ReadOptions
from microgpt.errors import DataError


@pytest.fixture
def poems(tmp_path: Path) -> Path:
    """A folder of poems that also contains a picture, hidden files, circular links and a pipe."""
    folder = tmp_path / "poems"
    (folder / "more").mkdir(parents=True)
    (folder / "b.txt").write_text("Rain\n\nIt rains.\n")
    (folder / "a.md").write_bytes("# Sea\r\nIt is calm.\r\n".encode("utf-16"))
    (folder / "more/c.txt").write_text("Night\n")
    (folder / "empty.txt").write_text("\n")
    (folder / ".hidden").write_text("no\n")
    (folder / "page.html").write_text("<html><p>no</p></html>\n")
    (folder / "view.canvas").write_text('{"nodes": []}\n')
    (folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    return folder


def test_a_folders_text_files_are_read_in_order_and_others_noted(poems) -> None:
    told: list[str] = []
    docs = load_documents(poems, ReadOptions(), tell=told.append)
    assert docs == ["# Sea\nIt is calm.", "Rain\n\nIt rains.", "Night"]
    assert "left out 3 files: " in told[0]
    assert "page.html is an HTML page" in told[0]
    assert "poems: 3 documents, each a file (--text stream" in told[1]


def test_text_files_of_a_folder_can_be_joined_to_running_text(poems) -> None:
    for name in ("page.html", "view.canvas"):
        assert (poems / name).read_text().strip() in load_documents(poems, ReadOptions("stream"))
        (poems / name).unlink()
    docs = load_documents(poems, ReadOptions())
    assert load_documents(poems, ReadOptions("stream")) == "\n\n".join(docs)


def test_a_path_with_wildcards_is_a_pattern_unless_it_exists(poems) -> None:
    assert load_documents(poems / "*.txt", ReadOptions()) == ["Rain\n\nIt rains."]
    (poems / "[odd].txt").write_text("anna\nemma\n")
    assert load_documents(poems / "[odd].txt", ReadOptions()) == ["anna", "emma"]


@pytest.mark.parametrize(
    ("name", "content", "how", "problem"),
    [
        ("a.png", b"\x89PNG\r\n", ReadOptions(), "a.png is a picture"),
        ("a.txt", b"\n", ReadOptions(), "has no text file; use another"),
        ("a.jsonl", b"{}\n", ReadOptions(), "several files, such as a.jsonl; pass one, join"),
        ("a.txt", b"anna\n", ReadOptions(column="a"), "has several files, such as a.txt; pass one"),
    ],
)
def test_a_folder_must_have_texts_and_not_be_a_table(tmp_path, name, content, how, problem) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        load_documents(tmp_path, how)
