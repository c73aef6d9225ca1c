"""Tests that a seed gives the text of the library in any batch, streamed or not.

The expected texts come from the library in this process, which does not use the service.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import BpeTokenizer, InferenceGpt
from microgpt.data.tokenizer import CharTokenizer
from microgpt.sampling import Continuation
from microgpt_serve.request import GeneratedChoice, stable_prefix

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """Return the text before the stop string that ends first, or all text if there is none."""
    for end in range(len(text) + 1):
        if found := [len(each) for each in stop if text[:end].endswith(each)]:
            return text[: end - max(found)]
    return text


def wanted(gpt: InferenceGpt, path: str, said: list[str], stops) -> Iterator[tuple[dict, str]]:
    """Yield 32 request bodies, each with its expected text; some of them can share a batch."""
    for i in range(32):
        text, stop = said[i % len(said)], stops[i % len(stops)]
        settings = {"seed": i // 2, "temperature": (0.5, 2.0, 0.0)[i % 3]}
        if path == CHAT:
            body: dict = {"messages": [{"role": "user", "content": text}]}
            expected = gpt.chat(text, **settings).content
        else:
            body = {"prompt": text}
            expected = gpt.generate(prompt=text, **settings)[0].removeprefix(text)
        yield {**body, **settings, "stop": [*stop]}, cut_at_stop(expected, stop)


def text_of(reply, path: str) -> str:
    """Return the text of a reply, whole or streamed."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        (choice,) = reply.json["choices"]
        return choice["text"] if path == COMPLETIONS else choice["message"]["content"]
    *events, done = reply.body.decode().removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    if path == COMPLETIONS:
        return "".join(choice["text"] for choice in choices)
    return "".join(choice["delta"].get("content", "") for choice in choices)


STOPS = [(), ("a",), ("a", "th", "the"), ("yo m", "o"), ("ere", "er"), ()]
CASES = {
    "names": (COMPLETIONS, ["", "an", "o"], STOPS),
    "talk": (CHAT, ["hi there", "yo man", "é hi"], STOPS),
    "subword-chat": (CHAT, ["hi there", "漢 é 👩‍🚀"], [*STOPS, ("字", "漢字")]),
    "subword-text": (COMPLETIONS, ["", "漢", "hi "], [*STOPS, ("\ufffd", "h")]),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_single_and_concurrent_requests_get_the_library_texts(request, case, stream) -> None:
    path, said, stops = CASES[case]
    name = case.partition("-")[0]
    server, gpt = request.getfixturevalue(name), request.getfixturevalue(f"{name}_gpt")
    bodies, expected = zip(*wanted(gpt, path, said, stops), strict=True)
    bodies = [body | {"stream": stream} for body in bodies]
    assert [text_of(server.request("POST", path, body), path) for body in bodies] == [*expected]
    assert [text_of(reply, path) for reply in server.at_once(path, bodies)] == [*expected]


# Many tokens of SUBWORDS begin or end within a character.
SUBWORDS = BpeTokenizer.from_documents(["漢字漢字 abab aab é\ufffdé 👩‍🚀👩‍🚀"] * 3, vocab_size=280)
CHARACTERS = CharTokenizer("abc\ufffd")
REASONS = ("stop", "length")

stops = st.lists(
    st.text("ab漢字é\ufffd ", min_size=1, max_size=4) | st.sampled_from(["ab", "b", "aba", "👩‍🚀"]),
    max_size=4,
)


@st.composite
def growths(draw, tokenizer) -> list[Continuation]:
    """Draw the successive continuations of one choice that the worker thread delivers."""
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
    """Return a choice extended by each item of `growth`, and the text that each item added."""
    choice = GeneratedChoice(0, tokenizer, stop)
    pieces = []
    for continuation in growth:
        choice.extend(continuation)
        pieces.append(choice.new_text())
    return choice, pieces


@settings(max_examples=60)
@given(cases, stops)
def test_text_and_token_count_of_a_stream_end_at_the_first_stop(case, stop) -> None:
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
def test_streaming_decodes_a_token_at_most_12_times_on_average(stop, monkeypatch) -> None:
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
    assert n_decoded <= 12 * len(made)  # decoding everything each time would decode 500,000 tokens


short_stops = st.lists(st.text("ab\ufffd", min_size=1, max_size=4), max_size=3).map(tuple)


@given(st.text("ab", max_size=9), short_stops)
def test_a_stream_holds_back_only_the_beginning_of_a_stop_string(text, stop) -> None:
    held_back = text[len(stable_prefix(text, stop)) :]
    assert not held_back or any(string.startswith(held_back) for string in stop)
