"""Encode large JSON objects in steps, because the encoder does not release the GIL."""

from collections.abc import Mapping

from pydantic_core import to_json

from microgpt.steps import Steps


def json_steps(value: object) -> Steps[bytes]:
    """Encode a value, in which bytes are JSON already; each entry of a list is a step.

    Fields whose value is None are left out.
    """
    if isinstance(value, Mapping):
        fields = list[bytes]()
        for name, content in value.items():
            if content is not None:
                fields.append(b"%b:%b" % (to_json(name), (yield from json_steps(content))))
        return b"{%b}" % b",".join(fields)
    if isinstance(value, list):
        entries = list[bytes]()
        for entry in value:
            entries.append(to_json(entry, exclude_none=True))
            yield
        return b"[%b]" % b",".join(entries)
    return value if isinstance(value, bytes) else to_json(value)
