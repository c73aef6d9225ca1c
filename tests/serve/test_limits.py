import socket

import pytest

from microgpt_serve.bodies import MAX_CHARACTERS, MAX_MESSAGES
from microgpt_serve.routes import MAX_BODY_BYTES

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
        ([HI] * MAX_MESSAGES, f"messages: list should have at most {MAX_MESSAGES} items"),
        ([{**HI, "content": "h" * (MAX_CHARACTERS - 2)}, HI],
         f"must be at most {MAX_CHARACTERS}, got {MAX_CHARACTERS + 2}"),
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


MANY_VALUES = [b"0", b"[]", b'{"role":""}', b'{"a":0,"b":0}', b"[[[[]]]]"]


@pytest.mark.parametrize("value", MANY_VALUES)
def test_a_body_of_many_values_is_refused_soon(talk, value) -> None:
    most = b",".join([value] * ((MAX_BODY_BYTES - 20) // (len(value) + 1)))
    body = b'{"messages":[%s]}' % most
    reply = talk.request("POST", CHAT, body, timeout=10, Content_Type="application/json")
    assert reply.status == 400
    assert message_of(reply).startswith("messages")


def test_every_conversation_of_maximum_length_fits_into_a_body(talk) -> None:
    """As Python writes it by default, with an escape for each character."""
    body = {"messages": [{**HI, "content": "é" * (MAX_CHARACTERS - 2)}, HI]}
    assert talk.request("POST", CHAT, body).status == 200


@pytest.mark.parametrize("page", [CHAT, OPENAI_CHAT])
@pytest.mark.parametrize("place", ["top", "message", "value"])
def test_error_messages_shorten_long_input_of_a_client(talk, page, place) -> None:
    long = "\x1b" + "a" * 200_000
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
