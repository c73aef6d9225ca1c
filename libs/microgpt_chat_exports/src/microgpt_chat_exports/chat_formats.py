"""Read the messages of chats exported from ChatGPT, Discord, Slack, Telegram and WhatsApp.

ChatGPT exports a tree of messages per conversation, DiscordChatExporter a file per channel, Slack a
folder per channel with a file per day, and Telegram a file with one chat or with all chats.
WhatsApp exports text, in any language: `12/31/23, 9:41 PM - Ann: hi` on Android,
`[31.12.23, 21:41:02] Ann: hi` on iOS, and `12/31/23, 9:41:02 PM: Ann: hi` in old versions.
"""

import html
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic_core import from_json

from microgpt import ROLES, DataError, TextFile, printable

T = TypeVar("T")
# Invisible characters that set the direction of a text.
MARKS = dict.fromkeys(map(ord, "\ufeff\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"))


class Post(NamedTuple):
    """A message; `text` is empty for pictures and for messages from tools or the system."""

    who: str
    at: float  # time in seconds since an arbitrary date
    text: str


def post(who: str, at: float, text: str) -> Post:
    """Return a message, with the sender's name on one line and no NUL characters in the text."""
    return Post(one_line(who), at, text.replace("\0", "").strip())


def one_line(name: str) -> str:
    """Return a name on one line, without the `~` that WhatsApp puts before a stranger's name."""
    return " ".join(name.translate(MARKS).removeprefix("~").split())


def read_each(read: Callable[[Any], T], values: Iterable[Any], path: Path) -> list[T]:
    """Return the result of `read` for each JSON value; raise DataError if the format is unknown."""
    found: list[T] = []
    try:
        found.extend(map(read, values))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        is_wrong_type = isinstance(error, AttributeError | IndexError | TypeError)
        problem = "a value has the wrong type" if is_wrong_type else str(error)
        problem = f"there is no {error}" if isinstance(error, KeyError) else problem
        raise DataError(
            f"{path}, item {len(found) + 1} has a format that microgpt does not support "
            f"({printable(problem)}); export the chat again"
        ) from error
    return found


def chatgpt_channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages of each conversation of a ChatGPT export."""
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
    is_shown = message.get("recipient") in ("all", None)  # messages to tools are hidden
    is_text = content["content_type"] in ("text", "multimodal_text")
    if role not in ROLES or not is_text or not is_shown:
        return Post("", 0, "")
    return post(role, 0, "\n".join(part for part in content["parts"] if isinstance(part, str)))


def discord_channels(content: Any, path: Path) -> list[list[Post]]:
    """Return a list with one item: the messages of the only channel of a Discord export."""
    return [read_each(_of_discord, content["messages"], path)]


def _of_discord(message: Any) -> Post:
    who, at = message["author"], datetime.fromisoformat(message["timestamp"]).timestamp()
    is_said = message["type"] in ("Default", "Reply") and not who.get("isBot")
    return post(who.get("nickname") or who["name"], at, message["content"] if is_said else "")


SLACK_USERS, SLACK_DAYS = "users.json", "????-??-??.json"
SLACK_SUBTYPES = (None, "me_message", "thread_broadcast", "file_share")  # messages by users

_LINK = re.compile(r"<([@#]?)!?(?:[^<>|\n]+\|)?([^<>|\n]+)>")  # such as <@U1> or <URL|label>


def slack_channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages, by channel, of a Slack export, a channel's folder or a day's file."""
    days_in = sorted(file for folder in ("", "*/") for file in path.glob(folder + SLACK_DAYS))
    files = days_in if content is None else [path]
    if not files:
        problem = "Is a directory, but not a Slack export (such as general/2023-12-31.json)"
        raise DataError(f"cannot read {path}: {problem}")
    days = {file: content or _json(file) for file in files}
    folder = files[0].absolute().parent
    beside = filter(Path.is_file, (folder.parent / SLACK_USERS, folder / SLACK_USERS))
    names: dict[str, str] = {}
    for file, users in ({file: _json(file) for file in beside} | days).items():
        for name in read_each(_slack_name, users, file):
            names |= name
    found: dict[Path, list[Post]] = defaultdict(list)
    for day, messages in days.items():
        found[day.parent] += read_each(partial(_of_slack, names), messages, day)
    return [*found.values()]


def _json(path: Path) -> Any:
    return read_each(from_json, ["\n".join(TextFile(path))], path)[0]


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


def telegram_channels(content: Any, path: Path) -> list[list[Post]]:
    """Return the messages of each chat of a Telegram export."""
    is_one = "messages" in content
    chats = content if is_one else read_each(itemgetter("list"), [content["chats"]], path)[0]
    every = read_each(itemgetter("messages"), [chats] if is_one else chats, path)
    return [read_each(_of_telegram, messages, path) for messages in every]


def _of_telegram(message: Any) -> Post:
    """Return a message; its text is empty if it is a service message, forwarded, or from a bot."""
    if message["type"] != "message" or message.keys() & {"forwarded_from", "via_bot"}:
        return Post("", 0, "")
    parts = message["text"]  # a text, or a list of texts and of objects such as links
    text = "".join(part if isinstance(part, str) else part["text"] for part in parts)
    who = message.get("from") or str(message.get("from_id", ""))  # a deleted account has no name
    return post(who, datetime.fromisoformat(message["date"]).timestamp(), text)


IMPOSSIBLE = -1.0  # `_time` returns this value if a date does not exist
# In Japan, the year 2024 can be R6 (Reiwa era); in Thailand, it can be 2567 (Buddhist Era).
_M = f"[{''.join(map(chr, MARKS))}]*+"
_DATE = rf"(\d{{1,4}}){_M}[./-]\s?{_M}(\d\d?){_M}[./-]\s?{_M}[A-Z]?(\d{{1,4}})"
_HEAD = re.compile(
    rf"{_M}(\[)?{_M}{_DATE}(\D{{1,9}}?)(\d\d?)[:.](\d\d)(?:[:.](\d\d))?"
    r"(\s?in the \w+|\D{0,9}?)(?(1)\]|(?:\s[-–]|(?(8):|(?!))))\s(.*)"  # a.m. or p.m., then the rest
)
_TIME_FIRST = re.compile(rf"^({_M}\[?{_M})(\d\d?[:.]\d\d(?:[:.]\d\d)?\D{{0,9}}?),\s({_DATE})")
_AM = re.compile(r"a\.?\s?m|morning|上午|凌晨|早上|午前|오전|π|ص|\bsa\b|\bpg\b", re.I)
_PM = re.compile(r"p\.?\s?m|noon|evening|下午|中午|晚上|午後|오후|μ\.?\s?μ|م|\bch\b|\bptg\b", re.I)
# On iOS, a direction mark after the sender's name begins a notice by WhatsApp about a group.
_SENDER = re.compile(
    r"(?![\u200e\u200f][^:])(?:(.{1,200}):\s(?=[\u200e\u200f](?!<))|(.{1,200}?):(?:\s|$))(.*)"
)
# A quotation mark, except inside a Hebrew word, or an apostrophe that begins a quotation.
_QUOTE = re.compile(r"""(?<![א-ת])"|"(?![א-ת])|[“”„«»「」『』]|(?<!\w)'(?!.*'(?!\w))""")
_ENDS_QUOTE = re.compile("[\"'“”»」』]")
_QUOTE_OR_NUMBER = re.compile(r'["“„«]|\W?\+\d')
_UNQUOTED = re.compile("(změn|zmen|vytvoř|vytvor)il", re.I)  # verbs of notices in Czech and Slovak
_ANGLE = r"<(?![a-z!/])(?=[!-;=?-~]*[^!-~\n])[^<>\n=@]*>"  # such as <This message was edited>
_FILE = r"(?:\S+\.\w{2,4}|[^\n]+\.(?:docx?|pdf|pptx?|vcf|xlsx?|zip))"
_ADDED = re.compile(  # text that WhatsApp adds to a message
    r"[\u200e\u200f]<[^<>\n]*>$|^[^\n]+\.\w{2,5}(?: •)?\s[\u200e\u200f][^\n]*"
    rf"|^\u200e?{_FILE} \([^()\n]+\)(?:\n|$)|^{_ANGLE}\n(?:{_FILE}$)?|\s{_ANGLE}$"
)
# Regular expressions of placeholders for missing texts: for all languages, then for each language.
_PLACEHOLDERS = Path(__file__).with_name("whatsapp_placeholders.txt").read_text(encoding="utf-8")
_NO_TEXT = re.compile("|".join(_PLACEHOLDERS.splitlines()))


def whatsapp_head(line: str) -> re.Match[str] | None:
    """Return a match of a line's date, time and rest, or None if no message begins on the line."""
    return _HEAD.match(_TIME_FIRST.sub(r"\1\3, \2", line))


def whatsapp_channels(content: Iterable[str], path: Path) -> list[list[Post]]:
    """Return a WhatsApp chat's messages; a line without a date continues the previous message."""
    lines = [(whatsapp_head(line), line) for line in content]

    def misfit(order: str) -> tuple[int, int, float]:
        times = [_time(head, order) for head, _ in lines if head]
        n_back = sum(later < at for at, later in pairwise(times))
        return times.count(IMPOSSIBLE), n_back, times[-1] - times[0]

    # Prefer the fewest impossible dates, then the fewest steps back in time, then the fewest days.
    order = min(("dmy", "mdy", "ymd"), key=misfit)
    found: list[tuple[str, float, list[str]]] = []
    texts: dict[str, list[str]] = defaultdict(list)
    for head, line in lines:
        if head and (at := _time(head, order)) != IMPOSSIBLE:
            # On Android, a right-to-left mark belongs to the text, and does not begin a notice.
            parts = _SENDER.match(head[10] if head[1] else head[10].replace("\u200f", ""))
            who, text = (parts[1] or parts[2], parts[3]) if parts else ("", "")
            found.append((who, at, [text]))
            texts[who].append(text)
        elif found:
            found[-1][2].append(line)
    told = {who for who, said in texts.items() if not who or _is_notice(who, said)}
    return [[_of_whatsapp(who, at, "\n".join(some) * (who not in told)) for who, at, some in found]]


def _is_notice(who: str, said: list[str]) -> bool:
    """Return whether a "sender" is the beginning of a notice by WhatsApp that contains a colon.

    An example is `Ann changed the group name to "a`, if the name is "a: b". In some languages, a
    colon comes before the name or number, or names have no quotation marks.
    """
    is_open = len(_QUOTE.findall(who)) % 2 and all(map(_ENDS_QUOTE.search, said))
    n_words = len(who.split()) if re.search(r"[^\W\d_]", who) else 0  # 0 for a telephone number
    is_before = n_words > 3 and all(map(_QUOTE_OR_NUMBER.match, said))
    is_long = n_words > 6 and len({*said}) == 1
    return bool(is_open or is_before or is_long or _UNQUOTED.search(who))


def _time(head: re.Match[str], order: str) -> float:
    date = dict(zip(order, map(int, head.group(2, 3, 4)), strict=True))
    hour, half = int(head[6]), head[5] + head[9]
    if _PM.search(half) or _AM.search(half):
        hour = hour % 12 + (12 if _PM.search(half) else 0)
    year = date["y"] + (2000 if date["y"] < 100 else -543 if date["y"] > 2400 else 0)  # see _DATE
    try:
        at = datetime(year, date["m"], date["d"], hour, int(head[7]), int(head[8] or 0))
    except ValueError:
        return IMPOSSIBLE
    return (at - datetime.min).total_seconds()


def _of_whatsapp(who: str, at: float, text: str) -> Post:
    text = _ADDED.sub("", text)
    is_own = text.startswith(("\u200e", "\u200f"))  # written by WhatsApp, not by the sender
    text = text.translate(MARKS).strip()
    return post(who, at, "" if is_own or _NO_TEXT.fullmatch(text.strip(" .。🚫")) else text)


# By app: a function that returns the messages of each channel of an export.
APPS: dict[str, Callable[[Any, Path], list[list[Post]]]] = {
    "ChatGPT": chatgpt_channels,
    "Discord": discord_channels,
    "Slack": slack_channels,
    "Telegram": telegram_channels,
    "WhatsApp": whatsapp_channels,
}
