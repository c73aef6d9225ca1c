"""A stream of events, as browsers know them: `data: …` and a blank line, again and again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from microgpt.errors import MicrogptError
from microgpt_serve.errors import FAULT, ClientGoneError, ServeError, openai_error_body

LOG = logging.getLogger("microgpt_serve")
DONE = b"data: [DONE]\n\n"


def event(message: Mapping[str, object]) -> bytes:
    """Return an event."""
    return b"data: %b\n\n" % to_json(message)


class EventStream(Response):
    """A reply in pieces, each sent as soon as it is there.

    An error before the first piece is answered like any other. One that comes later is an event:
    the status has been sent by then.
    """

    media_type = "text/event-stream"

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        """Take the pieces: whole events, of which DONE is the last."""
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}  # for nginx
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        has_begun = False

        async def send_piece(piece: bytes, *, is_last: bool = False) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
            body = {"type": "http.response.body", "body": piece, "more_body": not is_last}
            await send(body)

        try:
            async with aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    await send_piece(piece, is_last=piece.endswith(DONE))
        except asyncio.CancelledError:  # the process ends, and the reader is slow
            scope["outcome"] = 499
        except Exception as error:
            if not has_begun:
                raise
            scope["outcome"], told = _told(error)  # for the log and the metrics
            await send_piece(told, is_last=True)


def _told(error: Exception) -> tuple[int, bytes]:
    """Return the status of an error, and the event that tells of it."""
    if isinstance(error, ClientGoneError):
        return 499, b""
    status, message, field = 500, FAULT, None
    if isinstance(error, ServeError):
        status, message, field = error.status, str(error), error.field
    elif isinstance(error, MicrogptError):
        status, message = 400, str(error)
    else:
        LOG.error("a fault of the service, in a stream", exc_info=error)
    return status, b"data: %b\n\n" % openai_error_body(status, message, field)
