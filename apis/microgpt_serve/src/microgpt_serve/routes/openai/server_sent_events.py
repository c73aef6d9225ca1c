"""Streaming responses as server-sent events."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from microgpt_serve.errors import ClientDisconnectedError, as_serve_error

LOG = logging.getLogger("microgpt_serve")
DONE = b"data: [DONE]\n\n"


def event(message: Mapping[str, object]) -> bytes:
    """Encode a message as a server-sent event."""
    return b"data: %b\n\n" % to_json(message)


class EventStream(Response):
    """Response that sends events as they become available.

    An error before the first event produces a normal error response. A later error is sent as an
    event, because the status has already been sent.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        """Create a response from chunks of complete events. The last chunk ends with DONE."""
        # `x-accel-buffering` disables response buffering in nginx.
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and the events, then close the stream."""
        has_begun = False

        async def send_chunk(chunk: bytes, *, is_last: bool = False) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
            body = {"type": "http.response.body", "body": chunk, "more_body": not is_last}
            await send(body)

        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send_chunk(chunk, is_last=chunk.endswith(DONE))
        except asyncio.CancelledError:  # the service shuts down while a slow client is reading
            scope["outcome"] = 499
        except Exception as error:
            if not has_begun:
                raise
            sent_error = as_serve_error(error)
            scope["outcome"] = sent_error.status  # used by the access log and the metrics
            if sent_error.status == 500:
                LOG.error("internal error while streaming a response", exc_info=error)
            is_gone = isinstance(error, ClientDisconnectedError)
            last = b"" if is_gone else b"data: %b\n\n" % sent_error.openai_body()
            await send_chunk(last, is_last=True)
