"""A text in pieces is the text in one piece, whatever the tokens, the pieces and the stops."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import BpeTokenizer
from microgpt.batching.stop_strings import cut_at_stop
from microgpt.data.tokenizer import CharTokenizer
from microgpt.sampling import Continuation
from microgpt_serve.routes.openai.choice import GeneratedChoice, TextUpdate

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
    lambda tokenizer: st.tuples(st.just(tokenizer), growths(tokenizer), st.sampled_from(["", "ab"]))
)


def extended(
    tokenizer, growth: list[Continuation], stop, echo: str
) -> tuple[GeneratedChoice, list[TextUpdate]]:
    """Return a choice that has grown, and what came each time."""
    tokens = tokenizer.encode(echo)
    choice = GeneratedChoice(0, tokenizer, stop=stop, echo=tokens, echo_text=echo)
    updates = []
    for continuation in growth:
        choice.extend(continuation)
        updates.append(choice.update())
    return choice, updates


@settings(max_examples=60)
@given(cases, stops)
def test_the_updates_of_a_choice_add_up_to_its_text(case, stop) -> None:
    tokenizer, growth, echo = case
    _, updates = extended(tokenizer, growth, stop, echo)
    whole = cut_at_stop(tokenizer.decode(joined(growth).tokens), tuple(stop))
    assert "".join(one.text for one in updates) == echo + whole


@settings(max_examples=40)
@given(cases, stops)
def test_streaming_does_not_change_the_finish_reason(case, stop) -> None:
    tokenizer, growth, echo = case
    choice, _ = extended(tokenizer, growth, stop, echo)
    whole = tokenizer.decode(joined(growth).tokens)
    is_cut = cut_at_stop(whole, tuple(stop)) != whole
    assert choice.finish_reason == ("stop" if is_cut else growth[-1].finish_reason)


@settings(max_examples=60)
@given(cases, stops)
def test_streaming_does_not_change_tokens_and_offsets(case, stop) -> None:
    tokenizer, growth, echo = case
    choice, updates = extended(tokenizer, growth, stop, echo)
    whole, (everything,) = extended(tokenizer, [joined(growth)], stop, echo)
    assert [token for one in updates for token in one.tokens] == everything.tokens
    assert choice.tokens == whole.tokens
    offsets = [where for one in updates for where in choice.offsets(one)]
    assert offsets == whole.offsets(everything)


@settings(max_examples=40)
@given(cases, stops)
def test_the_listed_tokens_are_exactly_those_of_the_text(case, stop) -> None:
    tokenizer, growth, _ = case
    choice, _ = extended(tokenizer, growth, stop, "")
    n_tokens, made = len(choice.tokens), joined(growth).tokens
    assert choice.tokens == made[:n_tokens]
    if choice.text == tokenizer.decode(made):
        assert n_tokens == len(made)
    else:
        assert len(tokenizer.decode(choice.tokens)) <= len(choice.text)
        assert len(tokenizer.decode(made[: n_tokens + 1])) > len(choice.text)


@settings(max_examples=40)
@given(cases)
def test_each_token_begins_where_the_previous_one_ends(case) -> None:
    tokenizer, growth, echo = case
    choice, (update,) = extended(tokenizer, [joined(growth)], (), echo)
    for i, where in enumerate(choice.offsets(update)):
        before = tokenizer.decode(update.tokens[:i])
        assert where <= len(before)
        if not before.endswith("\ufffd"):
            assert where == len(before)


def test_a_choice_holds_back_only_a_possible_stop_string() -> None:
    choice, made = GeneratedChoice(0, CHARACTERS, stop=["abc", "bca"]), CHARACTERS.encode("aabbc")
    seen = []
    for token in made:
        choice.extend(Continuation([token], None))
        seen.append(choice.update().text)
    assert seen == ["", "a", "", "ab", ""]
    choice.extend(Continuation([], "length"))
    assert (choice.update().text, choice.finish_reason) == ("bc", "length")


def test_a_choice_holds_back_an_incomplete_character() -> None:
    byte_tokens = [SUBWORDS.piece_names.index(bytes([byte])) for byte in "漢".encode()]
    choice = GeneratedChoice(0, SUBWORDS)
    for token in byte_tokens[:2]:
        choice.extend(Continuation([token], None))
        assert choice.update().text == ""
        assert choice.tokens == []
    choice.extend(Continuation(byte_tokens[2:], None))
    update = choice.update()
    assert (update.text, update.tokens) == ("漢", byte_tokens)
    assert choice.offsets(update) == [0, 0, 0]


@pytest.mark.parametrize("reason", REASONS)
def test_a_finished_choice_ignores_further_tokens(reason) -> None:
    choice = GeneratedChoice(0, CHARACTERS, stop=["c"])
    choice.extend(Continuation(CHARACTERS.encode("abc"), None))
    choice.extend(Continuation(CHARACTERS.encode("ab"), reason))
    assert (choice.text, choice.finish_reason) == ("ab", "stop")


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
        choice.update()
    assert choice.text == "ab" * 5000
    assert n_decoded <= 12 * len(made)  # 500,000 if each time from the start


def test_long_stop_strings_need_few_comparisons() -> None:
    n_compared = 0

    class Stop(str):
        __slots__ = ()

        def startswith(self, *args) -> bool:
            nonlocal n_compared
            n_compared += 1
            return str.startswith(self, *args)

    made = CHARACTERS.encode("abc" * 300)
    choice = GeneratedChoice(0, CHARACTERS, stop=[Stop("ab" + "c" * 1000)])
    for token in made:
        choice.extend(Continuation([token], None))
    assert n_compared <= 3 * len(made)
    assert choice.text == "abc" * 299  # the last may become the stop string
