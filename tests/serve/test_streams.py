import asyncio
import json
import logging
import re
import signal
import socket
import time
from string import ascii_lowercase

import pytest

from microgpt import InferenceGpt, ModelConfig, TrainConfig, TrainResult, save
from microgpt.errors import PromptError
from microgpt.training.train import train
from microgpt_serve import response_formats
from microgpt_serve.service_errors import ServeError

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
HI = {"role": "user", "content": "hi there"}
TOKENS = 'microgpt_tokens_total{model="slow"}'
# The stream has megabytes of events: too many for the buffers of a client that stops reading.
LARGE = {"n": 48, "temperature": 0, "max_tokens": 16_384, "stream": True}


def read_until(client: socket.socket, pattern: bytes, received: bytes = b"") -> bytes:
    while not re.search(pattern, received):
        piece = client.recv(65536)
        assert piece, received[-1000:]
        received += piece
    return received


def text_of(events) -> str:
    return "".join(event.choices[0].text for event in events)


def test_a_stream_has_sse_headers_a_done_event_and_keep_alive(talk) -> None:
    body = {"messages": [HI], "seed": 1, "stream": True}
    with talk.send(CHAT, body) as client:
        head, _, events = read_until(client, rb"\r\n0\r\n\r\n").partition(b"\r\n\r\n")
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")  # reuses the connection
        assert read_until(client, rb"\"ok\"").startswith(b"HTTP/1.1 200")
    lines = head.lower().decode().split("\r\n")
    assert lines[0] == "http/1.1 200 ok"
    assert {"content-type: text/event-stream; charset=utf-8", "cache-control: no-cache"} <= {*lines}
    assert not [line for line in lines if line.startswith("content-length")]
    assert re.findall(rb"data: (.)", events) == [b"{"] * (events.count(b"data: ") - 1) + [b"["]
    assert events.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_the_first_chunk_arrives_before_the_reply_is_complete(slow) -> None:
    before, client = slow.metric(TOKENS), slow.openai()
    with client.completions.create(model="slow", prompt="", max_tokens=700, stream=True) as events:
        first = next(events)
        assert 0 < slow.metric(TOKENS) - before < 700
        assert 0 < len(first.choices[0].text) < 700
        assert len(first.choices[0].text + text_of(events)) == 700


@pytest.mark.parametrize("body", [{"n": 0}, {"prompt": "xyz"}, {"best_of": 2}])
def test_an_error_before_the_first_streamed_chunk_gets_a_400_response(slow, body) -> None:
    reply = slow.request("POST", COMPLETIONS, body | {"stream": True})
    assert (reply.status, reply.headers["content-type"]) == (400, "application/json")


@pytest.mark.slow
def test_a_stop_string_stops_the_generation_in_the_engine(slow) -> None:
    before = slow.metric(TOKENS)
    reply = slow.request("POST", COMPLETIONS, {"stop": ["aa", "b"], "seed": 1})
    assert reply.json["choices"][0]["finish_reason"] == "stop"
    assert slow.metric(TOKENS) - before < 1000  # without the stop string, there would be 2,048
    slow.until_idle()


@pytest.fixture(scope="module")
def wide_result() -> TrainResult:
    """A model whose texts end only at the maximum length."""
    model, config = ModelConfig(block_size=64), TrainConfig(steps=20, text="stream")
    return train([ascii_lowercase * 20], model=model, config=config)


@pytest.mark.slow
def test_a_slow_client_gets_all_its_text_and_delays_nobody(serve, wide_result, tmp_path) -> None:
    save(wide_result, tmp_path / "wide")
    wide = serve(tmp_path / "wide", MICROGPT_TIMEOUT_S="60")
    with wide.send(COMPLETIONS, LARGE, receive_buffer=4096) as client:
        for seed in range(20):
            assert wide.generate(timeout=5, max_tokens=9, seed=seed).status == 200
        received = bytearray()
        while not received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
            received += client.recv(65536)
            time.sleep(0.001)
    texts = re.findall(rb'"text":"([a-z]*)"', received)
    assert sum(map(len, texts)) == LARGE["n"] * LARGE["max_tokens"]
    found = re.findall(rb'"index":(\d+),"text":"(.*?)"', received)
    (whole,) = InferenceGpt(wide_result).generate(temperature=0, max_tokens=16_384)
    for i in range(LARGE["n"]):
        assert b"".join(text for index, text in found if int(index) == i).decode() == whole


@pytest.mark.slow
def test_sigterm_does_not_wait_for_a_client_that_never_reads(serve, wide_result, tmp_path) -> None:
    save(wide_result, tmp_path / "wide")
    server = serve(tmp_path / "wide", MICROGPT_TIMEOUT_S="1")
    with server.send(COMPLETIONS, LARGE, receive_buffer=4096):
        time.sleep(0.5)
        server.signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ServeError(504, "too slow"), 504, "too slow"),
        (PromptError("not finite"), 400, "not finite"),
        (ValueError("/secret"), 500, "internal server error; see the log of the service"),
    ],
)
def test_a_failed_stream_ends_in_an_error_logged_if_internal(
    error, status, message, caplog, monkeypatch
) -> None:
    monkeypatch.setattr(logging.getLogger("microgpt_serve"), "propagate", True)
    scope, sent = {"type": "http"}, []

    async def made():
        yield b"a"
        raise error

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(response_formats.EventStream(made())(scope, None, send))
    *_, last = sent
    assert not last["more_body"]
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["message"] == message
    assert scope["outcome"] == status
    assert ("/secret" in caplog.text) == (status == 500)


def test_the_stream_of_a_client_that_does_not_read_is_closed(monkeypatch) -> None:
    monkeypatch.setattr(response_formats, "SEND_S", 0.05)
    scope, closed = {"type": "http"}, []

    async def made():
        try:
            while True:
                yield b"a"
        finally:
            closed.append(True)

    async def send(message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(30)

    asyncio.run(response_formats.EventStream(made())(scope, None, send))
    assert (scope["outcome"], closed) == (499, [True])
