import hashlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from microgpt import TrainConfig, load, save
from microgpt.config import DOCUMENT_HASHES
from microgpt.data.contamination import DocumentHashes, hashes_file, known_share
from microgpt.data.folding import plain
from microgpt.data.tokenizer import Message
from microgpt.storage.model_directory import read_document_hashes
from microgpt.storage.model_metadata import SavedModel
from microgpt.training.train import train

DOCS = ["anna", "emma", "anna", "漢字", ""]


def hashes_of(docs) -> DocumentHashes:
    return DocumentHashes(hashes_file(docs, "lines") or b"")


@given(st.lists(st.text()), st.text())
def test_a_hash_file_recognizes_only_its_documents(docs, other) -> None:
    known = hashes_of(docs)
    assert all(doc in known for doc in docs)
    assert (other in known) == (plain(other) in map(plain, docs))
    assert 7 not in known


def test_a_hash_file_has_the_sorted_crc_32_of_distinct_documents() -> None:
    content = hashes_file(DOCS, "lines")
    assert len(content) == 4 * 4
    words = [int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4)]
    assert words == sorted(words)
    check_value = hashes_file(["123456789"], "lines")  # the usual text for testing a CRC
    assert check_value == (0xCBF43926).to_bytes(4, "little")


def test_running_text_or_an_empty_list_gets_no_hash_file() -> None:
    assert hashes_file(["a long text"], "stream") is None
    assert hashes_file([], "lines") is None


def test_only_the_same_conversation_as_a_tuple_or_list_is_known() -> None:
    talk = Message("user", "hi"), Message("assistant", "ho")
    known = hashes_of([talk])
    longer = (*talk, Message("user", "HI"), Message("assistant", "no"))
    assert [known_share([one], known) for one in (talk, [*talk], longer, "hi")] == [1, 1, 0, 0]


def test_the_hashes_of_the_training_set_are_saved_and_checked(tmp_path) -> None:
    directory = tmp_path / "model"
    save(train(["anna", "emma"], config=TrainConfig(steps=1)), directory)
    saved = load(directory)
    known = read_document_hashes(directory, saved)
    assert [text in known for text in ("anna", "Emma", "ann")] == [True, True, False]
    assert read_document_hashes(tmp_path, saved) is None

    def of(sha256: str | None) -> SavedModel:
        return replace(saved, meta=saved.meta.model_copy(update={"documents_sha256": sha256}))

    assert read_document_hashes(directory, of(None)) is None
    for content in (hashes_file(["another"], "lines"), b"abc"):
        (directory / DOCUMENT_HASHES).write_bytes(content)
        assert read_document_hashes(directory, saved) is None
    known = read_document_hashes(directory, of(hashlib.sha256(b"abc").hexdigest()))
    assert "anna" not in known
