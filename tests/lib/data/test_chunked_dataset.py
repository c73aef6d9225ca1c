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


def reading(docs, block_size, *, tokenizer=TEXT, loss_on="assistant", **settings) -> ChunkedDataset:
    defaults = {"long_docs": "window", "text": "lines"}
    return ChunkedDataset(docs, tokenizer, block_size, loss_on, **defaults | settings)


def whole(read: ChunkedDataset) -> TokenDataset:
    """Return all pieces in their order."""
    return read.encode(range(len(read)))


def n_to_learn(docs, tokenizer, loss_on="assistant") -> int:
    masks = (tokenizer.mask(doc, loss_on) for doc in docs)
    lengths = map(tokenizer.count_tokens, docs)
    return sum(
        length - 1 if mask is None else sum(mask)
        for length, mask in zip(lengths, masks, strict=True)
    )


@given(docs=texts, block_size=contexts)
def test_sliding_windows_cover_every_token_of_each_text(docs, block_size) -> None:
    read = reading(docs, block_size)
    dataset = whole(read)
    assert dataset.n_predictions == n_to_learn(docs, TEXT)
    assert dataset.longest == read.longest + 1
    assert len(dataset.tokens) - len(dataset) == read.n_tokens
    assert read.n_lost == 0


@given(docs=conversations, block_size=contexts, loss_on=st.sampled_from(["assistant", "all"]))
def test_sliding_windows_cover_every_token_of_each_conversation(docs, block_size, loss_on) -> None:
    read = reading(docs, block_size, tokenizer=CHAT, loss_on=loss_on)
    dataset = whole(read)
    assert dataset.n_predictions == n_to_learn(docs, CHAT, loss_on)
    assert dataset.longest <= block_size + 1
    assert len(dataset.tokens) - len(dataset) == read.n_tokens


@given(docs=st.one_of(texts, conversations), block_size=contexts)
def test_the_dataset_counts_tokens_that_are_not_learnt(docs, block_size) -> None:
    tokenizer = TEXT if isinstance(docs[0], str) else CHAT
    for long_docs in ("truncate", "skip"):
        read = reading(docs, block_size, tokenizer=tokenizer, long_docs=long_docs)
        learnt = whole(read).n_predictions if len(read) else 0
        assert learnt + read.n_lost == n_to_learn(docs, tokenizer)
        fitting = sum(n <= block_size for n in read.lengths)
        assert len(read) == (fitting if long_docs == "skip" else len(docs))


@given(docs=texts, block_size=contexts, long_docs=st.sampled_from(["window", "truncate", "skip"]))
def test_running_text_is_learnt_once_without_an_end_token(docs, block_size, long_docs) -> None:
    read = reading(docs, block_size, text="stream", long_docs=long_docs)
    dataset = whole(read)
    assert dataset.longest == read.longest + 1
    assert {piece[0] for piece in dataset} == {TEXT.bos_id}
    assert [token for piece in dataset for token in piece[1:]] == TEXT.encode("".join(docs))
    assert dataset.n_predictions == read.n_tokens == sum(map(len, docs))
    assert not dataset.mask


@given(docs=texts, block_size=contexts, text=st.sampled_from(["lines", "stream"]))
def test_each_token_of_a_text_is_scored_once(docs, block_size, text) -> None:
    pieces = EvaluationSet(scored(docs, TEXT, block_size, loss_on="all", text=text))
    assert pieces.n_docs == len(docs)
    assert pieces.n_tokens == sum(map(len, docs)) + (text == "lines") * len(docs)


def test_running_text_is_encoded_only_once(monkeypatch) -> None:
    encoded = []

    def encode(self, text: str) -> list[int]:
        encoded.append(text)
        return [self.chars.index(char) for char in text]

    monkeypatch.setattr(CharTokenizer, "encode", encode)
    read = reading(["abba" * 9, "baab"], 8, text="stream")
    assert whole(read).tokens == whole(read).tokens
    assert read.n_tokens == 40
    assert encoded == list(read.docs)


def test_chunks_can_be_encoded_in_any_order() -> None:
    docs = ["ab" * 9, "a", "ba" * 7]
    read = reading(docs, 4)
    pieces = list(whole(read))
    order = [5, 0, len(read) - 1, 5]
    assert list(read.encode(order)) == [pieces[i] for i in order]
    assert len(pieces) == 9 + 1 + 7
