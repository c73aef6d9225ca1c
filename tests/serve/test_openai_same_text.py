"""The same seed, the same text: alone, in a crowd, streamed or not, by the library.

What every text is compared with comes from the library in this process, which knows no service.
"""

import json
from typing import NamedTuple

import pytest
from stop_strings import cut_at_stop

from microgpt import InferenceGpt, Message

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


class Wanted(NamedTuple):
    """A text that somebody wants."""

    seed: int
    temperature: float
    stop: tuple[str, ...]
    said: str  # a message, or a prompt


def wanted(prompts: list[str], stops: list[tuple[str, ...]]) -> list[Wanted]:
    """Return 32 different wishes; neighbours share a batch or do not."""
    heats = (0.5, 2.0, 0.0)
    sizes = len(stops), len(prompts)
    return [
        Wanted(i // 2, heats[i % 3], stops[i % sizes[0]], prompts[i % sizes[1]]) for i in range(32)
    ]


def chat_body(one: Wanted) -> dict:
    messages = [{"role": "user", "content": one.said}]
    return {"messages": messages, **fields(one)}


def completion_body(one: Wanted) -> dict:
    return {"prompt": one.said, **fields(one)}


def fields(one: Wanted) -> dict:
    return {"seed": one.seed, "temperature": one.temperature, "stop": [*one.stop]}


def by_library(gpt: InferenceGpt, path: str, one: Wanted) -> str:
    if path == CHAT:
        message = Message("user", one.said)
        reply = gpt.chat([message], temperature=one.temperature, seed=one.seed)
        return cut_at_stop(reply.content, one.stop)
    settings = {"temperature": one.temperature, "seed": one.seed}
    text = gpt.generate(prompt=one.said, **settings)[0].removeprefix(one.said)
    return cut_at_stop(text, one.stop)


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
    "names": (COMPLETIONS, wanted(["", "an", "o"], STOPS)),
    "talk": (CHAT, wanted(["hi there", "yo man", "é hi"], STOPS)),
    "subword-chat": (CHAT, wanted(["hi there", "漢 é 👩‍🚀"], [*STOPS, ("字", "漢字")])),
    "subword-text": (COMPLETIONS, wanted(["", "漢", "hi "], [*STOPS, ("\ufffd", "h")])),
}


@pytest.fixture(params=CASES)
def case(request):
    """A server, its model, a path, and what is wanted of it."""
    path, wishes = CASES[request.param]
    name = request.param.partition("-")[0]
    server, gpt = request.getfixturevalue(name), request.getfixturevalue(f"{name}_gpt")
    bodies = [(chat_body if path == CHAT else completion_body)(one) for one in wishes]
    return server, path, bodies, [by_library(gpt, path, one) for one in wishes]


@pytest.mark.parametrize("stream", [False, True])
def test_concurrent_texts_equal_those_of_the_library(case, stream) -> None:
    server, path, bodies, expected = case
    bodies = [body | {"stream": stream} for body in bodies]
    assert [text_of(server.request("POST", path, body), path) for body in bodies] == expected
    assert [text_of(reply, path) for reply in server.at_once(path, bodies)] == expected


def test_mixed_streams_and_whole_replies_equal_the_library(case) -> None:
    server, path, bodies, expected = case
    bodies = [body | {"stream": i % 2 == 1} for i, body in enumerate(bodies)]
    assert [text_of(reply, path) for reply in server.at_once(path, bodies)] == expected


def test_sampling_filters_give_the_same_texts_as_the_library(names, names_gpt) -> None:
    for settings in ({"top_k": 3}, {"top_p": 0.4}, {"min_p": 0.3}, {"top_k": 4, "top_p": 0.9}):
        body = {"n": 20, "seed": 1, "temperature": 2, **settings}
        choices = names.request("POST", COMPLETIONS, body).json["choices"]
        expected = names_gpt.generate(20, seed=1, temperature=2, **settings)
        assert [one["text"] for one in choices] == expected
