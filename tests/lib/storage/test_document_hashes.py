import hashlib

from hypothesis import given
from hypothesis import strategies as st

from microgpt import TrainConfig, load, save
from microgpt.config import DOCUMENT_HASHES
from microgpt.data.tokenizer import Message
from microgpt.storage.document_hashes import DocumentHashes, hashes_file, read_document_hashes
from microgpt.training.train import train

DOCS = ["anna", "emma", "anna", "漢字", ""]


@given(st.lists(st.text()), st.text())
def test_a_hash_file_contains_exactly_its_documents(docs, other) -> None:
    known = DocumentHashes.decode(DocumentHashes.of(docs).encode())
    assert all(doc in known for doc in docs)
    assert (other in known) == (other in docs)
    assert 7 not in known


def test_a_hash_file_has_four_bytes_per_distinct_document() -> None:
    content = hashes_file(DOCS, "lines")
    assert len(content) == 4 * 4
    words = [int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4)]
    assert words == sorted(words)
    assert 0xCBF43926 in DocumentHashes.of(["123456789"])._hashes  # the check value of CRC-32


def test_no_hashes_are_stored_for_running_text() -> None:
    assert hashes_file(["a long text"], "stream") is None
    assert hashes_file([], "lines") is None


def test_a_conversation_is_recognised_as_a_tuple_or_a_list() -> None:
    talk = Message("user", "hi"), Message("assistant", "ho")
    known = DocumentHashes.decode(hashes_file([talk], "lines") or b"")
    assert [one in known for one in (talk, [*talk], talk[:1], "hi")] == [True, True, False, False]


def test_training_saves_the_hashes_of_its_training_set(tmp_path) -> None:
    directory = tmp_path / "model"
    save(train(["anna", "emma"], config=TrainConfig(steps=1)), directory)
    meta = load(directory).meta
    known = read_document_hashes(directory, meta)
    assert [text in known for text in ("anna", "emma", "ann")] == [True, True, False]
    assert read_document_hashes(tmp_path, meta) is None


def test_a_hash_file_that_meta_json_does_not_name_is_ignored(tmp_path) -> None:
    directory = tmp_path / "model"
    save(train(["anna", "emma"], config=TrainConfig(steps=1)), directory)
    meta = load(directory).meta
    nameless = meta.model_copy(update={"documents_sha256": None})
    assert read_document_hashes(directory, nameless) is None
    for content in (DocumentHashes.of(["another"]).encode(), b"abc"):
        (directory / DOCUMENT_HASHES).write_bytes(content)
        assert read_document_hashes(directory, meta) is None
    sha256 = hashlib.sha256(b"abc").hexdigest()
    known = read_document_hashes(directory, meta.model_copy(update={"documents_sha256": sha256}))
    assert "anna" not in known


def test_hashes_cover_the_lines_and_initial_turns_of_documents() -> None:
    talk = tuple(Message(role, text) for text in "ab" for role in ("user", "assistant"))
    known = DocumentHashes.of(["anna\nemma \n", "olivia", talk])
    for part in ("anna", "emma", "emma\nolivia", talk, talk[:2]):
        assert part in known
    for other in ("ann", "anna\nava", talk[:1], talk[2:]):
        assert other not in known
