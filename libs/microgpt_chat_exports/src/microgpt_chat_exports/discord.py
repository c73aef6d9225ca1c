"""Messages of a channel of Discord, as DiscordChatExporter writes them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from microgpt_chat_exports.posts import Post, post, read_each


def channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages of the one channel of a file."""
    return [read_each(_post, content["messages"], path)]


def _post(message: Any) -> Post:
    who, at = message["author"], datetime.fromisoformat(message["timestamp"]).timestamp()
    is_said = message["type"] in ("Default", "Reply") and not who.get("isBot")
    return post(who.get("nickname") or who["name"], at, message["content"] if is_said else "")
