import asyncio
import json
import logging

import pytest

from microgpt.errors import PromptError
from microgpt_serve.errors import ClientDisconnectedError, ServeError
from microgpt_serve.middleware.access_log import AccessLogMiddleware
from microgpt_serve.routes.openai.response_builder import DONE, EventStream


def sent(*pieces: bytes | BaseException) -> tuple[dict, list[dict]]:
    """Return the scope and the messages of a stream with these pieces."""
    scope, messages = {"type": "http"}, []

    async def made():
        for piece in pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def send(message) -> None:
        messages.append(message)

    asyncio.run(EventStream(made())(scope, None, send))
    return scope, messages


def test_pieces_of_a_stream_are_sent_as_separate_events() -> None:
    scope, (start, *bodies) = sent(b"a", b"b" + DONE)
    assert (start["status"], "outcome" in scope) == (200, False)
    found = [(one["body"], one["more_body"]) for one in bodies]
    assert found == [(b"a", True), (b"b" + DONE, False)]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ServeError(504, "too slow"), 504, "too slow"),
        (PromptError("not finite"), 400, "not finite"),
        (ValueError("/secret"), 500, "internal server error; see the log of the service"),
    ],
)
def test_an_error_after_the_first_piece_is_the_last_event(
    error, status, message, caplog, monkeypatch
) -> None:
    monkeypatch.setattr(logging.getLogger("microgpt_serve"), "propagate", True)
    scope, (*_, last) = sent(b"a", error)
    assert not last["more_body"]
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["message"] == message
    assert scope["outcome"] == status
    assert ("/secret" in caplog.text) == (status == 500)


def test_an_error_before_the_first_piece_becomes_an_http_error() -> None:
    with pytest.raises(ServeError, match="full"):
        sent(ServeError(503, "full"))


def test_a_disconnected_client_is_sent_nothing() -> None:
    scope, messages = sent(b"a", ClientDisconnectedError())
    assert (scope["outcome"], messages[-1]["body"]) == (499, b"")


@pytest.mark.parametrize("cut", [b"a", b"data: "])
def test_a_shutdown_may_interrupt_any_event_of_a_stream(cut) -> None:
    statuses = []

    async def made():
        yield b"a"
        raise ServeError(504, "too slow")

    async def send(message) -> None:
        if message.get("body", b"").startswith(cut):  # a slow client, and then SIGTERM
            raise asyncio.CancelledError

    app = AccessLogMiddleware(EventStream(made()), lambda route, *facts: statuses.append(facts[0]))
    scope = {"type": "http", "path": "/", "method": "POST", "headers": []}
    asyncio.run(app(scope, None, send))
    assert statuses == [499]
