import os

import pytest

from microgpt.files.path_text import path_from_text, path_to_text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"/a/n.txt", "/a/n.txt"),
        ("/ä/100%.txt".encode(), "/ä/100%.txt"),
        (b"/w\xff/a b%\xfe", "file:/w%FF/a%20b%25%FE"),
        (b"file:x", "file:file%3Ax"),
    ],
)
def test_a_path_can_be_recovered_from_its_text(path: bytes, text: str) -> None:
    assert path_to_text(os.fsdecode(path)) == text
    assert os.fsencode(path_from_text(text)) == path


def test_a_path_text_with_a_null_byte_names_no_existing_file() -> None:
    assert not path_from_text("file:%00nowhere").exists()
