import contextlib
import re
import select
import socket
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from microgpt import save
from microgpt_serve.routes.body import MAX_PUNCTUATION, SMALL_BYTES
from microgpt_serve.schemas import MAX_CHARACTERS, MAX_MESSAGES

GENERATE, CHAT = "/microgpt/v1/generate", "/microgpt/v1/chat"
SCORE = "/microgpt/v1/score"
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
    assert f"prompt must have at most {MAX_CHARACTERS} characters" in message_of(reply)


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
    server = serve(names_dir, MICROGPT_MAX_BODY_BYTES="100000")
    open_ones = [half_a_body(server, 100_000) for _ in range(17)]
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


@pytest.fixture(scope="module")
def long(shared, names_result, tmp_path_factory):
    """A server of a model with a context of a million tokens."""
    shape = replace(names_result.model, positions="rotary", block_size=10**6)
    weights = {name: rows for name, rows in names_result.weights.items() if name != "wpe"}
    directory = tmp_path_factory.mktemp("models") / "long"
    save(replace(names_result, model=shape, weights=weights), directory)
    return shared(directory)


def peak_mib(server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def test_texts_too_long_for_one_step_are_rejected(long) -> None:
    server, before = long, peak_mib(long)
    reply = server.request("POST", SCORE, {"texts": ["anna", "emma" * 32_000]})
    assert reply.status == 400
    limit = int(re.findall(r"\d+", reply.json["error"])[1])
    assert 1024 < limit < 4000
    assert reply.json["error"].endswith(f"at most {limit} are allowed; use shorter texts")
    assert server.request("POST", SCORE, {"texts": ["a" * (limit - 1)]}).status == 200
    assert peak_mib(server) < before + 100


def test_log_probabilities_of_long_texts_take_little_memory(long) -> None:
    before, prompt = peak_mib(long), "emma" * 2000
    body = {"prompt": prompt, "logprobs": 0, "max_tokens": 1, "seed": 1, "temperature": 0}
    replies = [
        long.request("POST", "/v1/completions", {**body, **more})
        for more in ({"echo": True}, {}, {"stream": True})
    ]
    assert [reply.status for reply in replies] == [200] * 3
    echoed, new = (reply.json["choices"][0]["logprobs"] for reply in replies[:2])
    assert echoed["tokens"] == [*prompt, *new["tokens"]]
    assert echoed["token_logprobs"][8000:] == pytest.approx(new["token_logprobs"], abs=1e-5)
    assert str(new["token_logprobs"][0])[:6] in replies[2].body.decode()
    half = long.request("POST", "/v1/completions", {**body, "prompt": "emma" * 200, "echo": True})
    few = half.json["choices"][0]["logprobs"]["token_logprobs"][:800]
    assert echoed["token_logprobs"][:800] == pytest.approx(few, abs=1e-4)
    assert peak_mib(long) < before + 100
