"""The fields by which a JSON value or a table is recognised as a conversation."""

PAIRS = (("prompt", "completion"), ("question", "answer"))  # names of fields, or of columns


def is_conversation(value: object) -> bool:
    """Return whether a JSON value has the fields of a conversation."""
    if isinstance(value, dict):
        if any(value.keys() >= {*pair} for pair in PAIRS):
            return True
        value = value.get("messages", value.get("conversations"))
    pairs = ({"role", "content"}, {"from", "value"})
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and any(p <= one.keys() for p in pairs) for one in value)
    )
