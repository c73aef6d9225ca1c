"""Hashes of the training documents beside a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import TrainConfig, save
from microgpt.config import DOCUMENT_HASHES
from microgpt.data.tokenizer import Message
from microgpt.errors import CheckpointError
from microgpt.storage.document_hashes import DocumentHashes, hashes_file, read_document_hashes
from microgpt.training.train import train

DOCS = ["anna", "emma", "anna", "漢字", ""]


@given(st.lists(st.text()), st.text())
def test_a_file_has_the_documents_and_no_other(docs, other) -> None:
    known = DocumentHashes.decode(DocumentHashes.of(docs).encode())
    assert all(doc in known for doc in docs)
    assert (other in known) == (other in docs)
    assert 7 not in known


def test_a_file_has_one_word_for_each_distinct_document() -> None:
    content = hashes_file(DOCS, "lines")
    assert content is not None
    assert len(content) == 4 * 4
    words = [int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4)]
    assert words == sorted(words)
    assert 0xCBF43926 in DocumentHashes.of(["123456789"])._hashes  # the check value of CRC-32


def test_running_text_and_conversations_have_none() -> None:
    assert hashes_file(["a long text"], "stream") is None
    assert hashes_file([(Message("user", "hi"), Message("assistant", "ho"))], "lines") is None
    assert hashes_file([], "lines") is None


def test_training_leaves_the_hashes_of_what_was_trained_on(tmp_path) -> None:
    save(train(["anna", "emma"], config=TrainConfig(steps=1)), tmp_path / "model")
    known = read_document_hashes(tmp_path / "model")
    assert known is not None
    assert [text in known for text in ("anna", "emma", "ann")] == [True, True, False]
    assert read_document_hashes(tmp_path) is None


@pytest.mark.parametrize("content", [b"abc", b"\2\0\0\0\1\0\0\0", b"\1\0\0\0\1\0\0\0"])
def test_a_damaged_file_is_reported(tmp_path, content) -> None:
    (tmp_path / DOCUMENT_HASHES).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"documents\.crc32 is damaged; remove it"):
        read_document_hashes(tmp_path)
