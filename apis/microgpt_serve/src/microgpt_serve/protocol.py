"""HTTP/1.1 connections: uvicorn's protocol with limits on time, headers, pipelining and idling.

A client may send slowly, or never ask anything: a request has a time to come in, and its headers
have a size. Or it may ask, and never read: a reply has a time to go out. Or it may keep connections
until no descriptor is free: the oldest idle ones are closed. Errors of the protocol itself are
answered here, in the shape of all errors.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from microgpt_serve.errors import error_response

try:
    from resource import RLIMIT_NOFILE, getrlimit
except ImportError:  # Windows has no such limit
    MOST_FILES = -1
else:
    MOST_FILES = getrlimit(RLIMIT_NOFILE)[0]

LOG = logging.getLogger("microgpt_serve")
# The rest is for the model's files, the log, and connections that come before others close.
MOST_CONNECTIONS = MOST_FILES * 3 // 4 if MOST_FILES > 0 else 2**16
MOST_BYTES_HELD = 65_536  # of headers, or of anything else that is no piece of a body
MOST_HEADERS = 128
TOO_LARGE = (
    431,
    f"the headers are more than {MOST_HEADERS}, or larger than {MOST_BYTES_HELD} bytes",
)
MOST_IN_A_ROW = 16  # requests that a client sends before it has read the replies
BODY_FOLLOWS = (b"content-length", b"transfer-encoding")
RECEIVE_S = 10.0  # for a request to come in
SEND_S = 10.0  # for a reader to take something of what waits, once that is more than 64 KiB
# Bytes of a body that are read after its reply. To close a connection with bytes unread resets it,
# and a client that sends its whole body first would never read the reply.
MOST_SKIPPED = 2**23
TELL_S = 60.0  # between two lines of the log about closed connections
_IS_HOST = re.compile(rb"([\w.!$&'()*+,;=~%-]+|\[[0-9A-Fa-f:.]+\])(:\d*)?", re.ASCII).fullmatch


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    _n_held = 0  # bytes since the parser has last handed something on
    _is_incomplete = True  # whether a request is on its way, or none has come yet
    _is_in_head = True  # … and has not told all of its headers
    _give_up: asyncio.TimerHandle | None = None
    _hang_up: asyncio.TimerHandle | None = None
    _fault = (400, "this is not a valid HTTP/1.1 request")
    _n_skipped = 0
    _cycles: Sequence[RequestResponseCycle] = ()  # requests, of which at most the first is answered
    _heard_at = 0.0  # when the client last sent something
    url = b""
    _n_closed: ClassVar[int] = 0  # idle connections, since the log told of some
    _told_at: ClassVar[float] = -TELL_S

    def connection_made(self, transport: Any) -> None:  # noqa: D102 - as are those below
        super().connection_made(transport)
        self._heard_at = self.loop.time()
        self._expect_request()
        if len(self.connections) > MOST_CONNECTIONS:
            self._close_idle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._expect_no_request()
        self._expect_no_reader()
        super().connection_lost(exc)
        for cycle in self._cycles:  # uvicorn tells the newest alone, which may not run yet
            cycle.disconnected = True
            cycle.message_event.set()

    def pause_writing(self) -> None:
        """Stop writing: more waits for the reader than should."""
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        """Write on: the reader has taken most of it."""
        self._expect_no_reader()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._heard_at = self.loop.time()
        while data and not self.transport.is_closing():
            # In pieces that end where headers become too large, however they arrive.
            room = MOST_BYTES_HELD - self._n_held
            if not room:
                self._refuse(*TOO_LARGE)
                return
            piece, data = data[:room], data[room:]
            self._n_held += len(piece)
            super().data_received(piece)
            if self._is_incomplete and self._is_in_head and len(self.headers or ()) > MOST_HEADERS:
                self._refuse(*TOO_LARGE)
        if self.transport.is_closing():
            return
        if self._give_up is None and (self._is_incomplete or self._is_idle()):
            self._expect_request()

    def on_message_begin(self) -> None:  # noqa: D102
        self._is_incomplete, self._n_skipped = True, 0
        if len(self.pipeline) >= MOST_IN_A_ROW:
            raise ValueError("too many requests in a row")
        super().on_message_begin()

    def on_headers_complete(self) -> None:  # noqa: D102
        if fault := self._fault_of_head():
            self._fault = fault
            raise ValueError(fault)  # the parser stops, and send_400_response is called
        super().on_headers_complete()
        self._cycles = [*(one for one in self._cycles if not one.response_complete), self.cycle]
        self._n_held, self._is_in_head = 0, False

    def on_body(self, body: bytes) -> None:  # noqa: D102
        self._n_held = 0
        super().on_body(body)
        if self.cycle.response_complete:
            self._n_skipped += len(body)
            if self._n_skipped > MOST_SKIPPED:
                self.transport.close()

    def on_message_complete(self) -> None:  # noqa: D102
        self._n_held, self._is_incomplete, self._is_in_head = 0, False, True
        self._expect_no_request()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(*self._fault)

    def _fault_of_head(self) -> tuple[int, str] | None:
        """Return why the request is refused, as a status and a message."""
        version, headers = self.parser.get_http_version(), self.headers
        hosts = [value for name, value in headers if name == b"host"]
        if len(headers) > MOST_HEADERS:
            return TOO_LARGE
        if version not in ("1.0", "1.1"):
            return 505, "only HTTP/1.1 and HTTP/1.0 are supported"
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            return 400, "a request must have one Host header"
        if hosts and not _IS_HOST(hosts[0]):
            return 400, "the Host header must be a name or an address, and a port or none"
        if self.parser.should_upgrade() and any(name in BODY_FOLLOWS for name, _ in headers):
            # The parser would skip the body, and take its second half for the next request.
            return 400, "a request with a body cannot change the protocol; send no Upgrade header"
        return None

    def _close_idle(self) -> None:
        """Close the connections that have been idle the longest, an eighth of all."""
        connections: set[Any] = self.connections
        open_ones = [one for one in connections if not one.transport.is_closing()]
        idle = [one for one in open_ones if one._is_incomplete or one._is_idle()]
        n_excess = len(open_ones) - MOST_CONNECTIONS
        if n_excess <= 0:
            return
        idle.sort(key=lambda one: one._heard_at)
        for one in idle[: n_excess + MOST_CONNECTIONS // 8]:
            one.transport.close()
            GuardedProtocol._n_closed += 1
        if self._n_closed and self._heard_at - self._told_at >= TELL_S:
            LOG.warning(
                "closed %d idle connections, to have at most %d; raise the limit of open files",
                self._n_closed,
                MOST_CONNECTIONS,
            )
            GuardedProtocol._n_closed, GuardedProtocol._told_at = 0, self._heard_at

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
            body = error_response(status, message, self.url.decode("latin-1")).body
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
        return not (self.pipeline or self.cycle.response_started)
