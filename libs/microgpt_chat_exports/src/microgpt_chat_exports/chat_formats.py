"""The messages of exported chats: of ChatGPT, Discord, Slack and WhatsApp.

ChatGPT's conversations.json has a tree of messages per conversation. DiscordChatExporter writes a
file per channel of Discord. A Slack export has a folder per channel with a JSON file per day, and
users.json. A WhatsApp chat is exported as text, in any language: Android writes
`12/31/23, 9:41 PM - Anna: hi`, and iOS `[31.12.23, 21:41:02] Anna: hi`.
"""

import html
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic_core import from_json

from microgpt import ROLES, DataError, TextFile, printable

T = TypeVar("T")


class Post(NamedTuple):
    """A message; `text` is empty for pictures and for messages of tools and the system."""

    who: str
    at: float  # time in seconds; only differences count
    text: str


def post(who: str, at: float, text: str) -> Post:
    """Return a message with a name on one line, and a text that a conversation may have."""
    return Post(" ".join(who.split()), at, text.replace("\0", "").strip())


def read_each(read: Callable[[Any], T], values: Iterable[Any], path: Path) -> list[T]:
    """Apply a function to each JSON value; raise DataError if one has an unknown format."""
    found: list[T] = []
    try:
        found.extend(map(read, values))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        problem = str(error)
        if isinstance(error, KeyError):
            problem = f"there is no {error}"
        elif isinstance(error, AttributeError | IndexError | TypeError):
            problem = "a value has the wrong type"
        raise DataError(
            f"{path}, item {len(found) + 1} has a format that microgpt does not support "
            f"({printable(problem)}); export the chat again"
        ) from error
    return found


CHATGPT_TEXTS = ("text", "multimodal_text")


def chatgpt_channels(content: Any, path: Path) -> list[list[Post]]:
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
    return [*map(_of_chatgpt, reversed(messages))]


def _of_chatgpt(message: Any) -> Post:
    role, content = message["author"]["role"], message["content"]
    is_shown = message.get("recipient") in ("all", None)  # not sent to a tool
    if role not in ROLES or content["content_type"] not in CHATGPT_TEXTS or not is_shown:
        return Post("", 0, "")
    return post(role, 0, "\n".join(part for part in content["parts"] if isinstance(part, str)))


def discord_channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages of the one channel of a file."""
    return [read_each(_of_discord, content["messages"], path)]


def _of_discord(message: Any) -> Post:
    who, at = message["author"], datetime.fromisoformat(message["timestamp"]).timestamp()
    is_said = message["type"] in ("Default", "Reply") and not who.get("isBot")
    return post(who.get("nickname") or who["name"], at, message["content"] if is_said else "")


SLACK_USERS = "users.json"
SLACK_SUBTYPES = (None, "me_message", "thread_broadcast", "file_share")  # said by a person

_DAY = re.compile(r"\d{4}-\d\d-\d\d\.json")
_LINK = re.compile(r"<([@#]?)!?(?:[^<>|\n]+\|)?([^<>|\n]+)>")  # <@U1>, <URL|label>, <!here>


def slack_channels(content: Any, path: Path) -> list[list[Post]]:
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
    beside = [
        file for file in (folder.parent / SLACK_USERS, folder / SLACK_USERS) if file.is_file()
    ]
    names: dict[str, str] = {}
    for file, users in ({file: _json(file) for file in beside} | days).items():
        for name in read_each(_slack_name, users, file):
            names |= name
    found: dict[Path, list[Post]] = defaultdict(list)
    for day, messages in days.items():
        found[day.parent] += read_each(partial(_of_slack, names), messages, day)
    return [*found.values()]


def _json(path: Path) -> Any:
    try:
        return from_json("\n".join(TextFile(path)))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; export the chat again") from error


def _slack_name(value: Any) -> dict[str, str]:
    """Return {id: name} for a user or for the sender of a message, if the name is known."""
    profile = value.get("profile") or value.get("user_profile") or {}
    name = profile.get("display_name") or profile.get("real_name")
    return {value.get("id") or value.get("user"): name} if name else {}


def _of_slack(names: dict[str, str], message: Any) -> Post:
    user, at = message.get("user"), float(message["ts"])
    if not user or message.get("subtype") not in SLACK_SUBTYPES:
        return Post("", at, "")
    text = _LINK.sub(lambda link: link[1] + names.get(link[2], link[2]), message.get("text") or "")
    return post(names.get(user, user), at, html.unescape(text))


IMPOSSIBLE = -1.0  # time of a date that does not exist

_M = "[\u200e\u200f\u202a\u202c]*+"  # marks for the direction of text, which have no width
WHATSAPP_MESSAGE = re.compile(
    rf"{_M}(\[)?{_M}(\d{{1,4}}){_M}[./-]\s?{_M}(\d\d?){_M}[./-]\s?{_M}(\d{{1,4}})"  # date
    r"(\D{1,9}?)(\d\d?)[:.](\d\d)(?:[:.](\d\d))?(\D{0,9}?)"  # time, with a.m. before or after it
    r"(?(1)\]\s|\s[-–]\s)(?:(.+?):(?:\s(.*)|$))?"  # sender and text, or what WhatsApp tells
)
_AM = re.compile(r"a\.?\s?m|上午|午前|오전|π|ص", re.I)
_PM = re.compile(r"p\.?\s?m|下午|午後|오후|μ\.?\s?μ|م", re.I)
_MARKS = dict.fromkeys(map(ord, "\u200e\u2068\u2069\u202a\u202c"))  # around names and numbers
# What WhatsApp adds to a text: marked on iOS; on Android, the name of a file before its caption.
_ADDED = re.compile(
    "\u200e<[^<>\n]*>$|^\u200e?\\S+\\.\\w{2,4} \\([^()\n]+\\)(?:\n|$)|<This message was edited>$"
)
_NO_TEXT = re.compile(  # such as <Media omitted>, in any language; null is a deleted message
    r"<(?=[!-;=?-~]*[^!-~\n])[^<>\n]*>|null|(image|video|audio|sticker|GIF|document) omitted"
    r"|(This message was deleted|You deleted this message|Diese Nachricht wurde gelöscht"
    r"|Du hast diese Nachricht gelöscht|Se eliminó este mensaje|Ce message a été supprimé)\.?"
)


def whatsapp_channels(content: Iterable[str], path: Path) -> list[list[Post]]:
    """Return the messages; a line without a date and a time continues the previous message.

    The order of day, month and year is the one with the fewest impossible dates; ties are resolved
    by the fewest steps back in time, then by the shortest duration.
    """
    lines = [(WHATSAPP_MESSAGE.match(line), line) for line in content]

    def misfit(order: str) -> tuple[int, int, float]:
        times = [_time(head, order) for head, _ in lines if head]
        n_back = sum(later < at for at, later in pairwise(times))
        return times.count(IMPOSSIBLE), n_back, times[-1] - times[0]

    order = min(("dmy", "mdy", "ymd"), key=misfit)
    found: list[tuple[str, float, list[str]]] = []
    for head, line in lines:
        if head and (at := _time(head, order)) != IMPOSSIBLE:
            found.append((head[10] or "", at, [head[11] or ""]))
        elif found:
            found[-1][2].append(line)
    return [[_of_whatsapp(who, at, "\n".join(some)) for who, at, some in found]]


def _time(head: re.Match[str], order: str) -> float:
    date = dict(zip(order, map(int, head.group(2, 3, 4)), strict=True))
    hour, half = int(head[6]), head[5] + head[9]
    if _PM.search(half) or _AM.search(half):
        hour = hour % 12 + (12 if _PM.search(half) else 0)
    year = date["y"] + (2000 if date["y"] < 100 else 0)
    try:
        at = datetime(year, date["m"], date["d"], hour, int(head[7]), int(head[8] or 0))
    except ValueError:
        return IMPOSSIBLE
    return (at - datetime.min).total_seconds()


def _of_whatsapp(who: str, at: float, text: str) -> Post:
    text = _ADDED.sub("", text)
    is_own = not who or text.startswith("\u200e")  # of WhatsApp, not of the sender
    text = text.translate(_MARKS).strip()
    who = who.translate(_MARKS).replace("~", "", who.startswith("~"))
    return post(who, at, "" if is_own or _NO_TEXT.fullmatch(text) else text)
