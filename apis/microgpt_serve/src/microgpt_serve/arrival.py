"""Middleware that gives each request a deadline, and its body an end.

If a response is sent before the body has arrived, the rest of the body is thrown away: a client
that still sends would lose the response if the connection were closed at once.
"""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microgpt_serve.errors import ServeError

POLL_S = 0.1  # interval between two looks whether the client has disconnected
MAX_UNREAD_BYTES = 2**24  # maximum number of bytes to throw away
CLOSE = (b"connection", b"close")


class Arrival:
    """Middleware that sets `deadline` and `look_at` in the scope, and ends bodies."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        """Wrap an app. A request, with its body and its work, has `timeout_s` seconds."""
        self._app, self._timeout_s = app, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app."""
        if scope["type"] == "http":
            now = asyncio.get_running_loop().time()
            scope.update(deadline=now + self._timeout_s, look_at=now + POLL_S)
            names = [name for name, _ in scope["headers"]]
            if b"content-length" in names or b"transfer-encoding" in names:
                body = _Body(receive, send, scope["deadline"])
                receive, send = body.receive, body.send
        await self._app(scope, receive, send)


class _Body:
    """A body that arrives, and the response to it."""

    def __init__(self, receive: Receive, send: Send, deadline: float) -> None:
        self._receive, self._send, self._deadline = receive, send, deadline
        self._has_more = True

    async def receive(self) -> Message:
        """Receive a part of the body. Raise ServeError if it does not arrive in time."""
        if not self._has_more:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ServeError(408, "the body of the request did not arrive in time") from None
        self._has_more = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response; before its end, read the rest of the body."""
        if self._has_more and message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], CLOSE]}
        elif self._has_more and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            n_bytes, message = 0, {"type": "http.response.body"}
            with suppress(ServeError):
                while self._has_more and n_bytes < MAX_UNREAD_BYTES:
                    n_bytes += len((await self.receive()).get("body", b""))
        await self._send(message)
