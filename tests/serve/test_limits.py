import contextlib
import select
import socket
import time

import psutil
import pytest

from microgpt_serve.routes.body import MAX_PUNCTUATION, SMALL_BYTES
from microgpt_serve.routes.openai.request_schemas import ChatCompletionRequest
from microgpt_serve.schemas import MAX_CHARACTERS, MAX_MESSAGES

GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
COMPLETIONS, OPENAI_CHAT = "/v1/completions", "/v1/chat/completions"
HI = {"role": "user", "content": "hi"}


def message_of(reply) -> str:
    error = reply.json["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize("page", [CHAT, OPENAI_CHAT])
@pytest.mark.parametrize(
    ("most", "problem"),
    [
        ([HI] * MAX_MESSAGES, f"messages must have at most {MAX_MESSAGES} entries"),
        ([{**HI, "content": "h" * (MAX_CHARACTERS - 2)}, HI],
         f"messages have {MAX_CHARACTERS + 2} characters"),
    ],
    ids=["messages", "characters"],
)  # fmt: skip
def test_a_conversation_has_a_maximum_length(talk, page, most, problem) -> None:
    reply = talk.request("POST", page, {"messages": most})
    assert reply.status == 200
    assert reply.json["tokens_dropped"] >= min(MAX_MESSAGES + 1, MAX_CHARACTERS)
    reply = talk.request("POST", page, {"messages": [*most, HI]})
    assert reply.status == 400
    assert problem in message_of(reply)


@pytest.mark.parametrize("page", [GENERATE, COMPLETIONS])
def test_a_prompt_has_a_maximum_length(names, page) -> None:
    reply = names.request("POST", page, {"prompt": "a" * (MAX_CHARACTERS + 1)})
    assert reply.status == 400
    assert "prompt" in message_of(reply)
    assert str(MAX_CHARACTERS) in message_of(reply)


MANY_ESCAPES = b'{"prompt": "%s"}' % (b"\\n" * (2 * MAX_CHARACTERS + 1))
MANY_VALUES = [
    b'{"messages":[%s]}' % b",".join([value] * MAX_PUNCTUATION)
    for value in (b"0", b"[]", b'{"role":""}', b'{"a":0,"b":0}', b"[[[[]]]]")
]


@pytest.mark.parametrize(
    ("body", "problem"),
    [(MANY_ESCAPES, "backslashes"), *((body, "characters { [ : ,") for body in MANY_VALUES)],
    ids=lambda part: repr(part[:20]),
)
def test_a_body_with_too_many_escapes_or_values_gets_a_413(talk, body, problem) -> None:
    page = CHAT if b"messages" in body else GENERATE
    reply = talk.request("POST", page, body, Content_Type="application/json")
    assert reply.status == 413
    assert problem in message_of(reply)


def test_ignored_request_fields_take_no_memory() -> None:
    fields = dict.fromkeys(("parsed", "reasoning", "reasoning_content", "refusal"), "a" * 10**6)
    messages = [{"role": "assistant", "content": "", **fields}, HI]
    body = ChatCompletionRequest.model_validate({"messages": messages, "user": "b" * 10**6})
    assert len(repr(body)) < 10_000


@pytest.mark.parametrize("page", [CHAT, OPENAI_CHAT])
@pytest.mark.parametrize("place", ["top", "message", "value"])
def test_error_messages_shorten_long_input_of_a_client(talk, page, place) -> None:
    long = "\x1b" + "a" * 1_000_000
    body = {
        "top": {"messages": [HI], long: 1},
        "message": {"messages": [{**HI, long: 1}]},
        "value": {"messages": [{**HI, "role": long}], "temperature": long},
    }[place]
    reply = talk.request("POST", page, body)
    assert reply.status == 400
    assert len(reply.body) < 800


def test_the_key_is_checked_before_and_after_the_body_is_sent(serve, names_dir) -> None:
    """A connection that is closed with bytes unread is reset, and the reply is lost."""
    server = serve(names_dir, MICROGPT_API_KEY="secret")
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    waiting = f"{head}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n".encode()
    body = b'{"prompt": "' + b"a" * 5_000_000
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for sent in (waiting, *[whole] * 10):
        with socket.create_connection((server.host, server.port), timeout=30) as client:
            client.sendall(sent)
            assert client.recv(65536).startswith(b"HTTP/1.1 401 ")


def half_a_body(server, n_bytes: int, n_sent: int | None = None) -> socket.socket:
    """Send most of a body, and leave the rest open."""
    client = socket.create_connection((server.host, server.port), timeout=30)
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    client.sendall(f"{head}Content-Length: {n_bytes}\r\n\r\n".encode())
    client.sendall(b'{"prompt": "' + b"a" * (n_bytes - 100 if n_sent is None else n_sent))
    return client


def test_large_request_bodies_share_a_memory_limit(serve, names_dir) -> None:
    server = serve(names_dir)
    open_ones = [half_a_body(server, 4_190_000) for _ in range(18)]
    answered = select.select(open_ones, [], [], 30)[0]
    refused = answered[0].recv(65536)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in refused
    assert server.generate(prompt="a").status == 200
    for client in open_ones:
        client.close()
    for _ in range(100):
        large = server.generate(prompt="a" * (SMALL_BYTES + 1000))
        if large.status != 503:
            break
        time.sleep(0.02)
    assert large.status == 200


@pytest.mark.slow
def test_unfinished_request_bodies_take_bounded_memory(serve, names_dir) -> None:
    server = serve(names_dir)
    process = psutil.Process(server.process.pid)
    before, most = process.memory_info().rss, 0
    clients = [half_a_body(server, 4_000_000, n_sent=0) for _ in range(200)]
    until = time.monotonic() + 4  # the service gives them 10 s
    while time.monotonic() < until:
        for client in clients:
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.send(b"a" * 200_000)
        most = max(most, process.memory_info().rss - before)
    for client in clients:
        client.close()
    assert most < 250 * 2**20
    assert server.generate().status == 200
