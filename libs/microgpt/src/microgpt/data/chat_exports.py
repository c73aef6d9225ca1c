"""Read chats exported from ChatGPT, WhatsApp, Discord (DiscordChatExporter) or Slack.

    12/31/23, 9:41 PM - Anna: hi              WhatsApp on Android, in any language
    [31.12.23, 21:41:02] Anna: hi             WhatsApp on iOS

ChatGPT's conversations.json has trees of messages. A Slack export has a folder per channel with a
JSON file per day, and users.json with the names.
"""

import html
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import cycle, dropwhile, groupby, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic_core import from_json

from microgpt.amounts import count
from microgpt.compilation import Tell
from microgpt.data.column_file import whole_value
from microgpt.data.read_options import ReadOptions
from microgpt.data.text_file import ConversationsError, TextFile
from microgpt.data.tokenizer import ROLES, Conversation, Message
from microgpt.errors import DataError
from microgpt.printable_text import printable

PAUSE_H = 6  # a longer pause, such as a night, ends a conversation; a morning at work does not
N_NAMED = 20  # maximum number of participants in an error message
N_HEAD = 20  # number of lines among which that of a WhatsApp message is sought
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
_SLACK_LINK = re.compile(r"<([@#]?)!?(?:[^<>|\n]+\|)?([^<>|\n]+)>")  # <@U1>, <URL|label>, <!here>
_DAY, USERS = re.compile(r"\d{4}-\d\d-\d\d\.json"), "users.json"
SLACK_SUBTYPES = (None, "me_message", "thread_broadcast", "file_share")  # said by a person
CHATGPT_TEXTS = ("text", "multimodal_text")

T = TypeVar("T")


class _Post(NamedTuple):
    """A message; `text` is empty for pictures and for messages of tools and the system."""

    who: str
    at: float  # time in seconds; only differences count
    text: str


def read(file: TextFile, how: ReadOptions, tell: Tell | None) -> list[Conversation] | None:
    """Return the conversations of an export, or None for another file.

    Raises:
        ConversationsError: text is requested, but the file has the conversations of an app.
        DataError: `how.me` is not in the export, or it has an unknown format.
    """
    is_folder = os.path.isdir(file.path)
    is_plain = how.column is not None or how.separator is not None or how.text == "stream"
    if not how.chat and (is_folder or is_plain):
        return None
    app, content = ("Slack", None) if is_folder else _recognised(file)
    if app is None:
        return None
    if how.chat:
        conversations = [*_conversations(app, content, file.path, how.me, tell)]
        file.is_chat_export = True
        return conversations
    if app != "WhatsApp":
        raise ConversationsError(f"{file.path} has conversations; read them with --chat")
    if tell and how.text is None:
        tell(f"{file.path} may be a WhatsApp export; --chat --me NAME reads its conversations")
    return None


def _recognised(file: TextFile) -> tuple[str | None, Any]:
    """Return the app that exported a file, and the lines or the JSON value of the file."""
    head = [*islice(dropwhile(lambda line: not line.strip(), file), 1 + N_HEAD)]
    if any(map(WHATSAPP_MESSAGE.match, head)):
        return "WhatsApp", file
    is_jsonl = any(map(str.strip, head[1:])) and whole_value(head[:1])
    if not head or head[0].lstrip()[0] not in "[{" or is_jsonl:
        return None, None
    lines = [*file]
    if not any(f'"{name}"' in line for line in lines for name in ("mapping", "guild", "ts")):
        return None, None  # to parse other JSON would take as long again
    unit, values = whole_value(lines) or ("line", [None])
    value = values if unit == "item" else values[0]
    return _app_of(value), value


def _app_of(value: object) -> str | None:
    """Return the app that exported a JSON value, or None if unknown."""
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return None
    if "mapping" in first and first.keys() & {"current_node", "title"}:
        return "ChatGPT"
    if value is first and {"guild", "channel", "messages"} <= first.keys():
        return "Discord"
    return "Slack" if first.get("type") == "message" and "ts" in first else None


def _conversations(
    app: str, content: Any, path: Path, me: str | None, tell: Tell | None
) -> Iterator[Conversation]:
    """Yield the conversations in an export.

    Args:
        app: "WhatsApp" or the result of `_app_of`.
        content: lines or JSON value; None if the path is the folder of a Slack export.
        me: the participant who is the assistant; everyone else is the user.
        tell: called with a note on the number of messages that were left out.
    """
    channels = _READERS[app](content, path)
    said = [[post for post in channel if post.text] for channel in channels]
    me = _assistant(app, Counter(post.who for channel in said for post in channel), path, me)
    n_found = n_kept = 0
    for session in (session for channel in said for session in _sessions(channel)):
        sides = [(who, [*posts]) for who, posts in groupby(session, lambda post: post.who == me)]
        sides = sides[bool(sides) and sides[0][0] :]
        sides = sides[: len(sides) // 2 * 2]  # without a last message that has no reply
        if sides:
            n_found, n_kept = n_found + 1, n_kept + sum(len(posts) for _, posts in sides)
            texts = ("\n".join(post.text for post in posts) for _, posts in sides)
            pairs = zip(cycle(ROLES), texts, strict=False)
            yield tuple(Message(role, text) for role, text in pairs)
    n, n_said = sum(map(len, channels)), sum(map(len, said))
    if not n_found:
        raise DataError(f"{path} has no reply from {printable(me)!r}; use another file")
    if tell and n > n_kept:
        tell(
            f"left out {n - n_kept:,} of {count(n, 'message')} of the {app} export: {n - n_said:,} "
            f"of the system or without text, {n_said - n_kept:,} without a question or a reply"
        )


def _sessions(channel: list[_Post]) -> Iterator[list[_Post]]:
    cuts = [i for i, (a, b) in enumerate(pairwise(channel), 1) if b.at - a.at > PAUSE_H * 3600]
    return (channel[start:end] for start, end in pairwise([0, *cuts, len(channel)]))


def _assistant(app: str, counts: Counter[str], path: Path, me: str | None) -> str:
    """Return the assistant's name; raise DataError with all names if no participant has it."""
    if app == "ChatGPT":
        if me is None:
            return "assistant"
        raise DataError(f"{path} is a ChatGPT export, which has an assistant; omit --me")
    if me is not None and me in counts:
        return me
    named = [f"{printable(who)} ({count(n, 'message')})" for who, n in counts.most_common(N_NAMED)]
    named += [f"and {len(counts) - N_NAMED:,} more"] if len(counts) > N_NAMED else []
    problem = f"{path} is a {app} export, a chat between people"
    if me is not None:
        problem = f"nobody in {path} is called {printable(me)!r}"
    names = ", ".join(named) or "nobody has written a message"
    raise DataError(f"{problem}; name the assistant with --me NAME (me= in Python): {names}")


def _whatsapp(content: Iterable[str], path: Path) -> list[list[_Post]]:
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
    return [[_whatsapp_post(who, at, "\n".join(some)) for who, at, some in found]]


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


def _whatsapp_post(who: str, at: float, text: str) -> _Post:
    text = _ADDED.sub("", text)
    is_own = not who or text.startswith("\u200e")  # of WhatsApp, not of the sender
    text = text.translate(_MARKS).strip()
    who = who.translate(_MARKS).replace("~", "", who.startswith("~"))
    return _said(who, at, "" if is_own or _NO_TEXT.fullmatch(text) else text)


def _chatgpt_branch(chat: Any) -> list[_Post]:
    """Return the messages of a conversation, from the root of the tree to `current_node`."""
    nodes: dict[str, Any] = {}
    name = chat["current_node"]
    while name is not None:
        if name in nodes:
            raise ValueError(f"node {printable(name)!r} is its own ancestor")
        nodes[name] = chat["mapping"][name]
        name = nodes[name]["parent"]
    messages = [node["message"] for node in nodes.values() if node.get("message")]
    return [*map(_chatgpt_post, reversed(messages))]


def _chatgpt_post(message: Any) -> _Post:
    role, content = message["author"]["role"], message["content"]
    is_shown = message.get("recipient") in ("all", None)  # not sent to a tool
    if role not in ROLES or content["content_type"] not in CHATGPT_TEXTS or not is_shown:
        return _Post("", 0, "")
    return _said(role, 0, "\n".join(part for part in content["parts"] if isinstance(part, str)))


def _discord_post(message: Any) -> _Post:
    who, at = message["author"], datetime.fromisoformat(message["timestamp"]).timestamp()
    is_said = message["type"] in ("Default", "Reply") and not who.get("isBot")
    text = message["content"] if is_said else ""
    return _said(who.get("nickname") or who["name"], at, text)


def _slack(content: object, path: Path) -> list[list[_Post]]:
    """Return the messages of a day file, of a channel folder, or of an export of channels."""
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
        for name in _each(_slack_name, users, file):
            names |= name
    channels: dict[Path, list[_Post]] = defaultdict(list)
    for day, messages in days.items():
        channels[day.parent] += _each(partial(_slack_post, names), messages, day)
    return [*channels.values()]


def _slack_name(value: Any) -> dict[str, str]:
    """Return {id: name} for a user or for the sender of a message, if the name is known."""
    profile = value.get("profile") or value.get("user_profile") or {}
    name = profile.get("display_name") or profile.get("real_name")
    return {value.get("id") or value.get("user"): name} if name else {}


def _slack_post(names: dict[str, str], message: Any) -> _Post:
    user, at = message.get("user"), float(message["ts"])
    if not user or message.get("subtype") not in SLACK_SUBTYPES:
        return _Post("", at, "")
    text = _SLACK_LINK.sub(
        lambda link: link[1] + names.get(link[2], link[2]), message.get("text") or ""
    )
    return _said(names.get(user, user), at, html.unescape(text))


def _each(read: Callable[[Any], T], values: Any, path: Path) -> list[T]:
    """Apply a reader to each JSON value; raise DataError if one has an unknown format."""
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
            f"({printable(str(problem))}); export the chat again"
        ) from error
    return found


def _said(who: str, at: float, text: str) -> _Post:
    return _Post(" ".join(who.split()), at, text.replace("\0", "").strip())


def _json(path: Path) -> object:
    try:
        return from_json("\n".join(TextFile(path)))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}; export the chat again") from error


_READERS: dict[str, Callable[[Any, Path], list[list[_Post]]]] = {
    "WhatsApp": _whatsapp,
    "ChatGPT": lambda chats, path: _each(
        _chatgpt_branch, chats if isinstance(chats, list) else [chats], path
    ),
    "Discord": lambda chat, path: [_each(_discord_post, chat["messages"], path)],
    "Slack": _slack,
}
