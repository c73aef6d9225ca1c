"""Read request bodies, with limits on their size and on their number of JSON values."""

import re

from pydantic import BaseModel
from starlette.requests import Request as HttpRequest

from microgpt_serve.service_errors import ServeError

JSON_TYPE = "application/json"
_IS_JSON = re.compile(r"application/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE).fullmatch
MAX_BODY_BYTES = 2**20  # enough for the longest text, 786,432 bytes if every character is escaped
# Maximum number of JSON values per body; a body with the maximum of 2,048 messages has about 6,000.
MAX_VALUES = 20_000


async def read_body(http: HttpRequest) -> bytearray:
    """Return the body of a request; raise ServeError if it is not JSON or is too large."""
    if not _IS_JSON(http.headers.get("content-type", "")):
        raise ServeError(415, f"the body must be JSON; send Content-Type: {JSON_TYPE}")
    too_large = ServeError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    if int(http.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise too_large
    content = bytearray()
    async for chunk in http.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise too_large
    http.scope["n_bytes"] = len(content)
    return content


def validated(body_model: type[BaseModel], content: bytearray) -> BaseModel:
    """Validate a body; refuse one with so many values that parsing it would delay all requests."""
    if len(content) > MAX_VALUES and _has_many_values(bytes(content)):
        raise ServeError(413, f"the body has more than {MAX_VALUES:,} values")
    return body_model.model_validate_json(content)


def _has_many_values(content: bytes) -> bool:
    """Return whether a body has more than MAX_VALUES values, counted without parsing it."""
    text = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    if text.count(b'"') > 4 * MAX_VALUES:  # a value can have two quotes, and so can its name
        return True
    outside = b"".join(text.split(b'"')[::2])  # omit strings, whose commas separate no values
    return sum(map(outside.count, (b",", b"[", b"{"))) > MAX_VALUES
