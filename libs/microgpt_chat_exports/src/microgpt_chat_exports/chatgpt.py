"""Messages of ChatGPT's conversations.json, which has a tree of messages per conversation."""

from pathlib import Path
from typing import Any

from microgpt import ROLES, printable
from microgpt_chat_exports.posts import Post, post, read_each

TEXTS = ("text", "multimodal_text")


def channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages of each conversation."""
    return read_each(_branch, content if isinstance(content, list) else [content], path)


def _branch(chat: Any) -> list[Post]:
    """Return the messages of a conversation, from the root of the tree to `current_node`."""
    nodes: dict[str, Any] = {}
    name = chat["current_node"]
    while name is not None:
        if name in nodes:
            raise ValueError(f"node {printable(name)!r} is its own ancestor")
        nodes[name] = chat["mapping"][name]
        name = nodes[name]["parent"]
    messages = [node["message"] for node in nodes.values() if node.get("message")]
    return [*map(_post, reversed(messages))]


def _post(message: Any) -> Post:
    role, content = message["author"]["role"], message["content"]
    is_shown = message.get("recipient") in ("all", None)  # not sent to a tool
    if role not in ROLES or content["content_type"] not in TEXTS or not is_shown:
        return Post("", 0, "")
    return post(role, 0, "\n".join(part for part in content["parts"] if isinstance(part, str)))
