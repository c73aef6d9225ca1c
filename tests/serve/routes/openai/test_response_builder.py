import asyncio
import json
import logging

import pytest

from microgpt.errors import PromptError
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.openai.response_builder import EventStream


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
