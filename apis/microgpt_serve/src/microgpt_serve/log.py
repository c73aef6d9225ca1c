"""The log of the process: a line per event on stderr, as text or as JSON.

A thread writes the lines, so a reader who stops reading does not stop the service. Lines that do
not fit into memory meanwhile are dropped and counted.
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

MOST_HELD = 2**20  # characters that wait to be written: the lines of some 10,000 requests
MOST_CHARS = 2000  # of a message, and of each line of a traceback
LAST_LINES_S = 1  # for a slow reader to take the last lines


class LogHandler(logging.Handler):
    """Writes to a file descriptor from a thread of its own."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.on_drop: Callable[[int], None] = lambda n_lines: None
        self._fd = fd
        self._held: list[str] = []
        self._n_held = 0  # characters in them
        self._n_dropped = 0  # lines that the log does not mention yet
        self._is_finishing = False
        self._guard = threading.Lock()  # of the four above
        self._news = threading.Event()
        self._writer = threading.Thread(target=self._write_lines, name="log", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Leave a line to the thread."""
        line = self.format(record) + "\n"
        with self._guard:
            if self._n_held + len(line) > MOST_HELD:
                self._drop(1)
                return
            self._held.append(line)
            self._n_held += len(line)
        if not self._news.is_set():
            self._news.set()

    def finish(self) -> None:
        """Write the last lines, unless nobody reads them."""
        with self._guard:
            self._is_finishing = True
        self._news.set()
        self._writer.join(LAST_LINES_S)

    def _write_lines(self) -> None:
        is_last = False
        while not is_last:
            self._news.wait()
            self._news.clear()
            with self._guard:
                lines, self._held, self._n_held = self._held, [], 0
                n_dropped, self._n_dropped = self._n_dropped, 0
                is_last = self._is_finishing
            if n_dropped:
                lines.append(self.format(_notice(n_dropped)) + "\n")
            n_failed = self._write("".join(lines).encode("utf-8", "backslashreplace"))
            if n_failed:
                with self._guard:
                    self._n_dropped += n_dropped
                    self._drop(n_failed - bool(n_dropped))

    def _write(self, data: bytes) -> int:
        """Write lines; return how many of them could not be written."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # who started the process has set O_NONBLOCK
                select.select([], [self._fd], [])
            except OSError:  # the reader is gone, or the disk is full
                break
        return data.count(b"\n")

    def _drop(self, n_lines: int) -> None:
        self._n_dropped += n_lines
        self.on_drop(n_lines)


def _notice(n_dropped: int) -> logging.LogRecord:
    message = "%d lines of the log were dropped: nobody read it"
    return logging.LogRecord("microgpt_serve", logging.WARNING, "", 0, message, (n_dropped,), None)


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
    """Return the message as one line, and below it the traceback, if there is one."""
    lines = [record.getMessage()]
    if record.exc_info:
        lines += logging.Formatter().formatException(record.exc_info).splitlines()
    return "\n".join(printable(line, MOST_CHARS) for line in lines)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_up_logs(*, as_json: bool) -> LogHandler:
    """Have this process write its log to stderr; return what writes it."""
    # Without stderr its number may be that of a socket: nothing is written then.
    handler = LogHandler(sys.__stderr__.fileno() if sys.__stderr__ else -1)
    handler.setFormatter(_Json() if as_json else _Text())
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
    logging.getLogger().handlers = [handler]  # of asyncio and others, from WARNING on
    for name, level in (("microgpt_serve", logging.INFO), ("uvicorn", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    return handler
