"""Logging to stderr, as text or JSON.

A background thread writes the lines, so that a blocked stderr does not block the service. While
MAX_BUFFERED characters are waiting to be written, new lines are dropped and counted.
"""

import json
import logging
import os
import select
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from microgpt.printable import printable

MAX_BUFFERED = 2**20  # maximum number of buffered characters, enough for about 10,000 requests
# Maximum number of bytes that are written at once, if they are several lines. A pipe does not mix
# such writes of several processes (POSIX: at least 512, Linux: 4096).
MAX_WRITE = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
MAX_CHARS = 2000  # maximum number of characters per message and per line of a traceback
LAST_LINES_S = 1  # maximum time to write the last lines at exit


class LogHandler(logging.Handler):
    """Log handler that writes to a file descriptor from a background thread."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.on_drop: Callable[[int], None] = lambda n_lines: None
        self._fd = fd
        self._buffer: list[str] = []
        self._n_buffered = 0  # number of characters in the buffer
        self._n_dropped = 0  # number of dropped lines not yet reported in the log
        self._is_finishing = False
        self._buffer_lock = threading.Lock()  # guards the four fields above
        self._has_work = threading.Event()
        self._writer = threading.Thread(target=self._write_lines, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record and queue the line for the writer thread."""
        line = self.format(record) + "\n"
        with self._buffer_lock:
            if self._n_buffered + len(line) > MAX_BUFFERED:
                self._drop(1)
                return
            self._buffer.append(line)
            self._n_buffered += len(line)
        if not self._has_work.is_set():
            self._has_work.set()

    def finish(self) -> None:
        """Wait up to LAST_LINES_S seconds for the remaining lines to be written."""
        with self._buffer_lock:
            self._is_finishing = True
        self._has_work.set()
        self._writer.join(LAST_LINES_S)

    def _write_lines(self) -> None:
        is_last = False
        while not is_last:
            self._has_work.wait()
            self._has_work.clear()
            with self._buffer_lock:
                lines, self._buffer, self._n_buffered = self._buffer, [], 0
                n_dropped, self._n_dropped = self._n_dropped, 0
                is_last = self._is_finishing
            if n_dropped:
                message = "%d log lines were dropped because they could not be written"
                facts = ("microgpt_serve", logging.WARNING, "", 0, message, (n_dropped,), None)
                lines.append(self.format(logging.LogRecord(*facts)) + "\n")
            n_failed = self._write("".join(lines).encode("utf-8", "backslashreplace"))
            if n_failed:
                with self._buffer_lock:
                    self._n_dropped += n_dropped
                    self._drop(n_failed - bool(n_dropped))

    def _write(self, data: bytes) -> int:
        """Write lines and return the number of lines that could not be written."""
        start = 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + MAX_WRITE) + 1 or data.index(b"\n", start) + 1
            try:
                start += os.write(self._fd, data[start:end])
            except BlockingIOError:  # the parent process made the descriptor non-blocking
                select.select([], [self._fd], [])
            except OSError:  # the reader has closed the pipe, or the disk is full
                break
        return data.count(b"\n", start)

    def _drop(self, n_lines: int) -> None:
        self._n_dropped += n_lines
        self.on_drop(n_lines)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, "request", None)
        if request is None:
            message = _message(record).replace("\n", "\n    ")
            return f"{_now()} {record.levelname.lower()}: {message}"
        client, path = (request[name].replace(" ", r"\x20") for name in ("client", "path"))
        return (
            f"{_now()} {client} {request['method']} {path} "
            f"{request['status']} {request['ms']:.1f}ms {request['id']}"
        )


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "request", None) or {"message": _message(record)}
        return json.dumps({"time": _now(), "level": record.levelname.lower(), **facts})


def _message(record: logging.LogRecord) -> str:
    """Return the message on one line, followed by the traceback, if any."""
    lines = [record.getMessage()]
    if record.exc_info:
        lines += logging.Formatter().formatException(record.exc_info).splitlines()
    return "\n".join(printable(line, MAX_CHARS) for line in lines)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_up_logs(*, as_json: bool) -> LogHandler:
    """Configure logging for this process."""
    # If stderr is closed, descriptor 2 may belong to a socket. With -1, every write fails instead.
    handler = LogHandler(sys.__stderr__.fileno() if sys.__stderr__ else -1)
    handler.setFormatter(_Json() if as_json else _Text())
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
    logging.getLogger().handlers = [handler]  # also logs warnings from asyncio and other libraries
    for name, level in (("microgpt_serve", logging.INFO), ("uvicorn", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    return handler
