import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import CharTokenizer, Message
from microgpt.data.chunked_dataset import ChunkedDataset, scored
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import ROLES
from microgpt.evaluation.held_out_loss import EvaluationSet

TEXT = CharTokenizer("ab")
CHAT = CharTokenizer("ab", is_chat=True)
texts = st.lists(st.text("ab", min_size=1, max_size=40), min_size=1, max_size=5)
conversations = st.lists(
    st.lists(st.text("ab", min_size=1, max_size=9), min_size=2, max_size=8).map(
        lambda contents: tuple(Message(ROLES[i % 2], content) for i, content in enumerate(contents))
    ),
    min_size=1,
    max_size=4,
)
contexts = st.integers(1, 24)


def reading(docs, block_size, *, tokenizer=TEXT, text="lines") -> ChunkedDataset:
    return ChunkedDataset(docs, tokenizer, block_size, text)


def whole(read: ChunkedDataset) -> TokenDataset:
    """Return all pieces in their order."""
    return read.encode(range(len(read)))


def n_to_learn(docs, tokenizer) -> int:
    masks = map(tokenizer.mask, docs)
    lengths = map(tokenizer.count_tokens, docs)
    return sum(
        length - 1 if mask is None else sum(mask)
        for length, mask in zip(lengths, masks, strict=True)
    )


@pytest.mark.parametrize(("kind", "tokenizer"), [(texts, TEXT), (conversations, CHAT)])
@given(data=st.data(), block_size=contexts)
def test_sliding_windows_cover_all_that_is_to_be_learnt(kind, tokenizer, data, block_size) -> None:
    docs = data.draw(kind)
    read = reading(docs, block_size, tokenizer=tokenizer)
    dataset = whole(read)
    assert dataset.n_predictions == n_to_learn(docs, tokenizer)
    assert dataset.longest <= block_size + 1
    assert len(dataset.tokens) - len(dataset) == read.n_tokens


@given(docs=texts, block_size=contexts)
def test_running_text_is_learnt_once_without_an_end_token(docs, block_size) -> None:
    read = reading(docs, block_size, text="stream")
    dataset = whole(read)
    assert dataset.longest <= block_size + 1
    assert {piece[0] for piece in dataset} == {TEXT.bos_id}
    assert [token for piece in dataset for token in piece[1:]] == TEXT.encode("".join(docs))
    assert dataset.n_predictions == read.n_tokens == sum(map(len, docs))
    assert not dataset.mask


@given(docs=texts, block_size=contexts, text=st.sampled_from(["lines", "stream"]))
def test_each_token_of_a_text_is_scored_once(docs, block_size, text) -> None:
    pieces = EvaluationSet(scored(docs, TEXT, block_size, text=text))
    assert pieces.n_docs == len(docs)
    assert pieces.n_tokens == sum(map(len, docs)) + (text == "lines") * len(docs)


def test_chunks_can_be_encoded_in_any_order() -> None:
    docs = ["ab" * 9, "a", "ba" * 7]
    read = reading(docs, 4)
    pieces = list(whole(read))
    order = [5, 0, len(read) - 1, 5]
    assert list(read.encode(order)) == [pieces[i] for i in order]
    assert len(pieces) == 9 + 1 + 7
