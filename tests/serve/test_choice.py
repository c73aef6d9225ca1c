"""A text in pieces is the text in one piece, whatever the tokens, the pieces and the stops."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stop_strings import cut_at_stop

from microgpt import BpeTokenizer
from microgpt.data.tokenizer import CharTokenizer
from microgpt.sampling import Continuation
from microgpt_serve.request import GeneratedChoice, stable_prefix

# Of many characters, the pieces hold a beginning or an end, of some, an end and a beginning.
SUBWORDS = BpeTokenizer.from_documents(["漢字漢字 abab aab é\ufffdé 👩‍🚀👩‍🚀"] * 3, vocab_size=280)
CHARACTERS = CharTokenizer("abc\ufffd")
REASONS = ("stop", "length")

stops = st.lists(
    st.text("ab漢字é\ufffd ", min_size=1, max_size=4) | st.sampled_from(["ab", "b", "aba", "👩‍🚀"]),
    max_size=4,
)


@st.composite
def growths(draw, tokenizer) -> list[Continuation]:
    """What the threads tell of one continuation, in pieces."""
    n_pieces = len(tokenizer.piece_names)
    texts = st.text("ab漢字é 👩‍🚀\ufffd", max_size=9).map(tokenizer.encode)
    anything = st.lists(st.integers(0, n_pieces - 1), max_size=9)
    parts = texts | anything if tokenizer is SUBWORDS else anything
    tokens = draw(parts) + draw(parts)
    ends = sorted(draw(st.lists(st.integers(0, len(tokens)), max_size=6)))
    starts = [0, *ends]
    pieces = [Continuation(tokens[i:end], None) for i, end in zip(starts, ends, strict=False)]
    return [*pieces, Continuation(tokens[starts[-1] :], draw(st.sampled_from(REASONS)))]


def joined(growth: list[Continuation]) -> Continuation:
    return growth[-1]._replace(tokens=list(chain.from_iterable(one.tokens for one in growth)))


cases = st.sampled_from([SUBWORDS, CHARACTERS]).flatmap(
    lambda tokenizer: st.tuples(st.just(tokenizer), growths(tokenizer))
)


def extended(tokenizer, growth: list[Continuation], stop) -> tuple[GeneratedChoice, list[str]]:
    """Return a choice that has grown, and what came each time."""
    choice = GeneratedChoice(0, tokenizer, stop)
    pieces = []
    for continuation in growth:
        choice.extend(continuation)
        pieces.append(choice.new_text())
    return choice, pieces


@settings(max_examples=60)
@given(cases, stops)
def test_the_pieces_of_a_choice_add_up_to_its_text(case, stop) -> None:
    tokenizer, growth = case
    choice, pieces = extended(tokenizer, growth, stop)
    made = joined(growth).tokens
    whole = tokenizer.decode(made)
    cut = cut_at_stop(whole, stop)
    assert "".join(pieces) == cut
    assert choice.finish_reason == ("stop" if cut != whole else growth[-1].finish_reason)
    if cut == whole:
        assert choice.n_tokens == len(made)
    else:
        assert len(tokenizer.decode(made[: choice.n_tokens])) <= len(cut)
        assert len(tokenizer.decode(made[: choice.n_tokens + 1])) > len(cut)


@pytest.mark.parametrize("stop", [[], ["a" * 1000 + "!"]])
def test_streaming_decodes_each_token_only_a_few_times(stop, monkeypatch) -> None:
    n_decoded, decode = 0, CharTokenizer.decode

    def counted(self, tokens) -> str:
        nonlocal n_decoded
        n_decoded += len(tokens)
        return decode(self, tokens)

    monkeypatch.setattr(CharTokenizer, "decode", counted)
    choice = GeneratedChoice(0, CHARACTERS, stop=stop)
    made = CHARACTERS.encode("ab" * 5000)
    for i in range(0, len(made), 100):
        choice.extend(Continuation(made[i : i + 100], None))
        choice.new_text()
    assert choice.text == "ab" * 5000
    assert n_decoded <= 12 * len(made)  # 500,000 if each time from the start


short_stops = st.lists(st.text("ab\ufffd", min_size=1, max_size=4), max_size=3).map(tuple)


@given(st.text("ab", max_size=9), short_stops)
def test_only_the_necessary_text_is_held_back(text, stop) -> None:
    held_back = text[len(stable_prefix(text, stop)) :]
    assert not held_back or any(string.startswith(held_back) for string in stop)
