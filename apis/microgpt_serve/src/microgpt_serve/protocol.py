"""Uvicorn's HTTP/1.1 protocol with limits on time, headers, pipelining and idle connections.

Slow requests are answered with status 408. Clients that do not read their responses are
disconnected. If more than MAX_CONNECTIONS are open, the longest-idle connections are closed.
Protocol errors are reported in the service's error format.
"""

import asyncio
import logging
import math
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from microgpt_serve.errors import ServeError

MAX_FILES = -1  # no limit
with suppress(ImportError):  # Windows lacks these modules
    from fcntl import ioctl
    from resource import RLIMIT_NOFILE, getrlimit
    from termios import TIOCOUTQ

    MAX_FILES = getrlimit(RLIMIT_NOFILE)[0]

LOG = logging.getLogger("microgpt_serve")
# A quarter of the file descriptors is reserved for model files, the log and new connections.
MAX_CONNECTIONS = MAX_FILES * 3 // 4 if MAX_FILES > 0 else 2**16
MAX_HEAD_BYTES = 65_536  # maximum size of headers and other data outside bodies
MAX_HEADERS = 128
TOO_LARGE = 431, f"at most {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes of headers are allowed"
MAX_PIPELINED = 16  # maximum number of unanswered requests per connection
BODY_HEADERS = (b"content-length", b"transfer-encoding")
RECEIVE_S = 10.0  # timeout for receiving a request
SEND_S = 10.0  # timeout for a client that reads nothing while more than 64 KiB are buffered
MAX_UNREAD_BYTES = 2**26  # limit for all replies that clients read slowly
# Maximum number of body bytes read after an early reply. Closing a connection with unread data
# resets it, and a client that is still sending the body would not receive the reply.
MAX_SKIPPED_BYTES = 2**23
_IS_HOST = re.compile(rb"[^\s/?#@]+").fullmatch  # `HostCheck` reads it more strictly


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 connection that enforces the limits of this module."""

    _n_head_bytes = 0  # number of bytes received since the last complete headers or body data
    _is_incomplete = True  # True before the first request and while receiving a request
    _is_in_head = True  # True until the headers of the next request are complete
    _receive_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _parse_error = (400, "the request is not valid HTTP/1.1")
    _n_skipped = 0  # number of body bytes read after the reply
    _cycles: Sequence[RequestResponseCycle] = ()  # requests in order; only the first may be running
    _received_at = 0.0
    url = b""
    _slow: ClassVar[list["LimitedProtocol"]] = []  # with replies to read, the longest-waiting first
    _has_warned: ClassVar[bool] = False

    def connection_made(self, transport: Any) -> None:  # noqa: D102 - see uvicorn
        super().connection_made(transport)
        self._received_at = self.loop.time()
        self._start_receive_timer()
        if len(self.connections) > MAX_CONNECTIONS:
            self._close_idle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._stop_receive_timer()
        self._leave_slow()
        super().connection_lost(exc)
        for cycle in self._cycles:  # uvicorn notifies only the newest cycle, which may be queued
            cycle.disconnected = True
            cycle.message_event.set()

    def pause_writing(self) -> None:  # noqa: D102
        super().pause_writing()
        self._check_reader()
        self._slow.append(self)
        sizes = [one.transport.get_write_buffer_size() for one in self._slow]
        while len(self._slow) > 1 and sum(sizes) > MAX_UNREAD_BYTES:
            self._slow.pop(0).transport.abort()
            sizes.pop(0)

    def resume_writing(self) -> None:  # noqa: D102
        self._leave_slow()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        self._received_at = self.loop.time()
        while data and not self.transport.is_closing():
            room = MAX_HEAD_BYTES - self._n_head_bytes
            if not room:
                self._refuse(*TOO_LARGE)
                return
            chunk, data = data[:room], data[room:]
            self._n_head_bytes += len(chunk)
            super().data_received(chunk)
            if self._is_incomplete and self._is_in_head and len(self.headers or ()) > MAX_HEADERS:
                self._refuse(*TOO_LARGE)
        is_waiting = self._is_incomplete or self._is_idle()
        if self._receive_timer is None and is_waiting and not self.transport.is_closing():
            self._start_receive_timer()

    def on_message_begin(self) -> None:  # noqa: D102
        self._is_incomplete, self._n_skipped = True, 0
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many pipelined requests")
        super().on_message_begin()

    def on_headers_complete(self) -> None:  # noqa: D102
        if error := self._head_error():
            self._parse_error = error
            raise ValueError(error)  # makes uvicorn call send_400_response
        super().on_headers_complete()
        self._cycles = [*(one for one in self._cycles if not one.response_complete), self.cycle]
        self._n_head_bytes, self._is_in_head = 0, False

    def on_body(self, body: bytes) -> None:  # noqa: D102
        self._n_head_bytes = 0
        super().on_body(body)
        if self.cycle.response_complete:
            self._n_skipped += len(body)
            if self._n_skipped > MAX_SKIPPED_BYTES:
                self.transport.close()

    def on_message_complete(self) -> None:  # noqa: D102
        self._n_head_bytes, self._is_incomplete, self._is_in_head = 0, False, True
        self._stop_receive_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: D102
        self._refuse(*self._parse_error)

    def _head_error(self) -> tuple[int, str] | None:
        """Return the status and message of an error response, or None if the headers are valid."""
        version, headers = self.parser.get_http_version(), self.headers
        hosts = [value for name, value in headers if name == b"host"]
        if len(headers) > MAX_HEADERS:
            return TOO_LARGE
        if version not in ("1.0", "1.1"):
            return 505, "only HTTP/1.1 and HTTP/1.0 are supported"
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            return 400, "the request must have exactly one Host header"
        if hosts and not _IS_HOST(hosts[0]):
            return 400, "the Host header must be a host name or an address, with an optional port"
        if self.parser.should_upgrade() and any(name in BODY_HEADERS for name, _ in headers):
            # After an upgrade, the parser would parse part of the body as the next request.
            return 400, "a request with a body cannot be upgraded; send no Upgrade header"
        return None

    def _close_idle(self) -> None:
        """If the limit is exceeded, close the longest-idle connections to get down to 7/8 of it."""
        connections: set[Any] = self.connections
        open_ones = [one for one in connections if not one.transport.is_closing()]
        n_excess = len(open_ones) - MAX_CONNECTIONS
        if n_excess <= 0:
            return
        idle = [one for one in open_ones if one._is_incomplete or one._is_idle()]
        idle.sort(key=lambda one: one._received_at)
        for one in idle[: n_excess + MAX_CONNECTIONS // 8]:
            one.transport.close()
        if not self._has_warned:
            LimitedProtocol._has_warned = True
            text = "closing idle connections: more than %d are open; raise the open-file limit"
            LOG.warning(text, MAX_CONNECTIONS)

    def _start_receive_timer(self) -> None:
        self._receive_timer = self.loop.call_later(RECEIVE_S, self._on_slow_sender)

    def _on_slow_sender(self) -> None:
        self._receive_timer = None
        if not self.transport.is_closing():
            self._refuse(408, f"the request did not arrive within {RECEIVE_S:g} seconds")

    def _stop_receive_timer(self) -> None:
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _check_reader(self, n_before: float = math.inf) -> None:
        """Disconnect the client if it has read nothing since the last check.

        The size of our buffer does not show what it has read, because the system empties the buffer
        rarely, in large pieces: what the client's system has not acknowledged counts, too.
        """
        n_unread = self.transport.get_write_buffer_size()
        with suppress(OSError, NameError):  # Windows has no ioctl
            fd = self.transport.get_extra_info("socket").fileno()
            n_unread += int.from_bytes(ioctl(fd, TIOCOUTQ, bytes(4)), sys.byteorder)
        if n_unread < n_before:
            self._send_timer = self.loop.call_later(SEND_S, self._check_reader, n_unread)
        else:
            self.transport.abort()

    def _leave_slow(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
        with suppress(ValueError):
            self._slow.remove(self)

    def _refuse(self, status: int, message: str) -> None:
        """Send an error response if possible, then close the connection."""
        self._stop_receive_timer()
        if self._is_in_head:  # the reply to an earlier request may still be in progress
            may_answer = self._n_head_bytes > 0 and self._is_idle()
        else:
            may_answer = not (self.pipeline or self.cycle.response_started)
        if may_answer:
            body = ServeError(status, message).response(self.url.decode("latin-1")).body
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d"
            self.transport.write(STATUS_LINE[status] + head % len(body) + b"\r\n\r\n" + body)
        self.transport.close()

    def _is_idle(self) -> bool:
        """Return whether no reply is in progress."""
        return self.cycle is None or self.cycle.response_complete
