"""Logging to stderr, as text."""

import logging
import warnings
from datetime import UTC, datetime

from microgpt import printable

MAX_CHARS = 2000  # maximum number of characters per message and per line of a traceback


class _Formatter(logging.Formatter):
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


def _message(record: logging.LogRecord) -> str:
    """Return the message on one line, followed by the traceback, if any."""
    lines = [record.getMessage()]
    if record.exc_info:
        lines += logging.Formatter().formatException(record.exc_info).splitlines()
    return "\n".join(printable(line, MAX_CHARS) for line in lines)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_up_logs() -> None:
    """Configure logging for this process."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.raiseExceptions = False  # a full disk must not produce a traceback per line
    logging.captureWarnings(True)
    warnings.formatwarning = lambda warning, *place: str(warning)  # without a line of source
    logging.getLogger().handlers = [handler]  # also logs warnings from asyncio and other libraries
    for name, level in (("microgpt_serve", logging.INFO), ("uvicorn", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
