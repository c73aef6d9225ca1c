"""A helper for tests that edit JSON files."""

import json
from pathlib import Path
from typing import Any


def edit(path: Path, **changes: Any) -> None:
    """Update the JSON object in a file, merging nested objects; a value of None removes a key."""
    path.write_text(json.dumps(_changed(json.loads(path.read_text()), changes)))


def _changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for key, new in changes.items():
        old = content.pop(key, None)
        if new is not None:
            both = isinstance(old, dict) and isinstance(new, dict)
            content[key] = _changed(old, new) if both else new
    return content
