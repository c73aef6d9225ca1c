"""The same seed, the same text: alone, in a crowd, streamed or not, by the library.

What every text is compared with comes from the library in this process, which knows no service.
"""

import json
from collections.abc import Iterator

import pytest
from stop_strings import cut_at_stop

from microgpt import InferenceGpt

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"


def wanted(gpt: InferenceGpt, path: str, said: list[str], stops) -> Iterator[tuple[dict, str]]:
    """Yield 32 bodies, of which neighbours share a batch or not, each with its text."""
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
def test_concurrent_texts_equal_those_of_the_library(request, case, stream) -> None:
    path, said, stops = CASES[case]
    name = case.partition("-")[0]
    server, gpt = request.getfixturevalue(name), request.getfixturevalue(f"{name}_gpt")
    bodies, expected = zip(*wanted(gpt, path, said, stops), strict=True)
    bodies = [body | {"stream": stream} for body in bodies]
    assert [text_of(server.request("POST", path, body), path) for body in bodies] == [*expected]
    assert [text_of(reply, path) for reply in server.at_once(path, bodies)] == [*expected]
