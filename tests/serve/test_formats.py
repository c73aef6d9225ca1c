import asyncio
import json
import logging

import pytest

from microgpt.errors import PromptError
from microgpt_serve import formats
from microgpt_serve.formats import EventStream
from microgpt_serve.service_errors import ServeError


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ServeError(504, "too slow"), 504, "too slow"),
        (PromptError("not finite"), 400, "not finite"),
        (ValueError("/secret"), 500, "internal server error; see the log of the service"),
    ],
)
def test_an_error_within_a_stream_ends_it(error, status, message, caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("microgpt_serve"), "propagate", True)
    scope, sent = {"type": "http"}, []

    async def made():
        yield b"a"
        raise error

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(EventStream(made())(scope, None, send))
    *_, last = sent
    assert not last["more_body"]
    assert json.loads(last["body"].removeprefix(b"data: "))["error"]["message"] == message
    assert scope["outcome"] == status
    assert ("/secret" in caplog.text) == (status == 500)


def test_a_client_that_does_not_read_its_stream_loses_it(monkeypatch) -> None:
    monkeypatch.setattr(formats, "SEND_S", 0.05)
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

    asyncio.run(EventStream(made())(scope, None, send))
    assert (scope["outcome"], closed) == (499, [True])
