"""HTTP as uvicorn reads it, with limits that it has not: on time, on headers, on what is in a row.

A client may send slowly, or for ever, and never ask anything: so a request has a time to come in,
and what cannot be handed on yet has a size. Or it may ask, and never read: so a reply has a time to
go out. Errors of the protocol itself get their answer here, in the shape of all errors. This module
knows nothing of the app.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from microgpt_serve.errors import error_body

MOST_BYTES_HELD = 65_536  # of headers, or of anything else that is no piece of a body
MOST_IN_A_ROW = 16  # requests that a client sends before it has read the replies
BODY_FOLLOWS = (b"content-length", b"transfer-encoding")
RECEIVE_S = 10.0  # for a request to come in
SEND_S = 10.0  # for a reader to take something of what waits, once that is more than 64 KiB


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    _n_held = 0  # bytes since the parser has last handed something on
    _is_incomplete = True  # whether a request is on its way, or none has come yet
    _is_in_head = True  # … and has not told all of its headers
    _give_up: asyncio.TimerHandle | None = None
    _hang_up: asyncio.TimerHandle | None = None
    _fault = "this is not a valid HTTP/1.1 request"

    def connection_made(self, transport: Any) -> None:  # noqa: D102 - as are those below
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._expect_no_request()
        self._expect_no_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Stop writing: more waits for the reader than should."""
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        """Write on: the reader has taken most of it."""
        self._expect_no_reader()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._n_held += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._n_held > MOST_BYTES_HELD:
            self._refuse(431, f"the headers are larger than {MOST_BYTES_HELD} bytes")
        elif self._give_up is None and (self._is_incomplete or self._is_idle()):
            self._expect_request()

    def on_message_begin(self) -> None:  # noqa: D102
        self._is_incomplete = True
        if len(self.pipeline) >= MOST_IN_A_ROW:
            raise ValueError("too many requests in a row")
        super().on_message_begin()

    def on_headers_complete(self) -> None:  # noqa: D102
        if self.parser.should_upgrade() and any(name in BODY_FOLLOWS for name, _ in self.headers):
            # The parser would skip the body, and take its second half for the next request.
            self._fault = "a request with a body cannot change the protocol; send no Upgrade header"
            raise ValueError(self._fault)
        super().on_headers_complete()
        self._n_held, self._is_in_head = 0, False

    def on_body(self, body: bytes) -> None:  # noqa: D102
        self._n_held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:  # noqa: D102
        self._n_held, self._is_incomplete, self._is_in_head = 0, False, True
        self._expect_no_request()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, self._fault)

    def _expect_request(self) -> None:
        self._give_up = self.loop.call_later(RECEIVE_S, self._too_slow)

    def _expect_no_request(self) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None

    def _expect_reader(self) -> None:
        n_waiting = self.transport.get_write_buffer_size()
        self._hang_up = self.loop.call_later(SEND_S, self._too_slow_a_reader, n_waiting)

    def _too_slow_a_reader(self, n_waited: int) -> None:
        """Hang up on who has taken nothing; who takes it slowly gets all."""
        if self.transport.get_write_buffer_size() < n_waited:
            self._expect_reader()
        else:
            self.transport.abort()

    def _expect_no_reader(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None

    def _too_slow(self) -> None:
        self._give_up = None
        if not self.transport.is_closing():
            self._refuse(408, f"the request did not come within {RECEIVE_S:g} seconds")

    def _refuse(self, status: int, message: str) -> None:
        """Answer, unless a reply has begun or nothing was asked; and hang up."""
        self._expect_no_request()
        if self._may_answer():
            body = error_body(message)
            head = (
                b"content-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n" % len(body)
            )
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _is_idle(self) -> bool:
        """Return whether nothing is answered: blank lines have ended the time to stay, then."""
        return self.cycle is None or self.cycle.response_complete

    def _may_answer(self) -> bool:
        if self._is_in_head:  # the reply to an earlier request may still be on its way
            return self._n_held > 0 and self._is_idle()
        return not self.cycle.response_started
