"""Messages of a Slack export: a folder per channel with a JSON file per day, and users.json."""

import html
import re
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from microgpt import DataError, TextFile
from microgpt_chat_exports.posts import Post, post, read_each

USERS = "users.json"
SUBTYPES = (None, "me_message", "thread_broadcast", "file_share")  # said by a person

_DAY = re.compile(r"\d{4}-\d\d-\d\d\.json")
_LINK = re.compile(r"<([@#]?)!?(?:[^<>|\n]+\|)?([^<>|\n]+)>")  # <@U1>, <URL|label>, <!here>


def channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages of a day file, of a channel folder, or of an export of channels.

    Args:
        content: JSON value of a day file; None for a folder.
    """
    files = [path]
    if content is None:
        every = sorted([*path.glob("*.json"), *path.glob("*/*.json")])
        files = [file for file in every if _DAY.fullmatch(file.name) and file.is_file()]
    if not files:
        problem = "Is a directory, but not a Slack export (such as general/2023-12-31.json)"
        raise DataError(f"cannot read {path}: {problem}")
    days = {file: content or _json(file) for file in files}
    folder = files[0].absolute().parent
    beside = [file for file in (folder.parent / USERS, folder / USERS) if file.is_file()]
    names: dict[str, str] = {}
    for file, users in ({file: _json(file) for file in beside} | days).items():
        for name in read_each(_name, users, file):
            names |= name
    found: dict[Path, list[Post]] = defaultdict(list)
    for day, messages in days.items():
        found[day.parent] += read_each(partial(_post, names), messages, day)
    return [*found.values()]


def _json(path: Path) -> Any:
    try:
        return from_json("\n".join(TextFile(path)))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; export the chat again") from error


def _name(value: Any) -> dict[str, str]:
    """Return {id: name} for a user or for the sender of a message, if the name is known."""
    profile = value.get("profile") or value.get("user_profile") or {}
    name = profile.get("display_name") or profile.get("real_name")
    return {value.get("id") or value.get("user"): name} if name else {}


def _post(names: dict[str, str], message: Any) -> Post:
    user, at = message.get("user"), float(message["ts"])
    if not user or message.get("subtype") not in SUBTYPES:
        return Post("", at, "")
    text = _LINK.sub(lambda link: link[1] + names.get(link[2], link[2]), message.get("text") or "")
    return post(names.get(user, user), at, html.unescape(text))
