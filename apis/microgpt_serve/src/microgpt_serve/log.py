"""Logging to stderr, as text."""

import logging
import warnings
from datetime import UTC, datetime

from microgpt import printable

MAX_CHARS = 2000  # maximum number of characters per message and per line of a traceback


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the time and the message on one line, followed by the traceback, if any."""
        lines = [record.getMessage()]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        message = "\n    ".join(printable(line, MAX_CHARS) for line in lines)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        is_access = record.name == "microgpt_serve.access" and record.levelno == logging.INFO
        return f"{now} {message}" if is_access else f"{now} {record.levelname.lower()}: {message}"


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
