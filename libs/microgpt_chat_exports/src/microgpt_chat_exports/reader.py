"""Read the conversations of a chat exported from ChatGPT, WhatsApp, Discord or Slack."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, dropwhile, groupby, islice, pairwise
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from microgpt import (
    ROLES,
    Conversation,
    ConversationsError,
    DataError,
    Message,
    ReadOptions,
    Tell,
    TextFile,
    count,
    printable,
)
from microgpt_chat_exports.chat_formats import (
    WHATSAPP_MESSAGE,
    Post,
    chatgpt_channels,
    discord_channels,
    slack_channels,
    whatsapp_channels,
)

PAUSE_H = 6  # a longer pause, such as a night, ends a conversation; a morning at work does not
N_NAMED = 20  # maximum number of participants in an error message
N_HEAD = 20  # number of lines among which that of a WhatsApp message is sought

# Each function returns the messages of every channel.
APPS: dict[str, Callable[[Any, Path], list[list[Post]]]] = {
    "ChatGPT": chatgpt_channels,
    "Discord": discord_channels,
    "Slack": slack_channels,
    "WhatsApp": whatsapp_channels,
}


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
    if not head or head[0].lstrip()[0] not in "[{":
        return None, None
    if any(map(str.strip, head[1:])) and _json_value(head[0]) is not None:
        return None, None  # JSON Lines
    lines = [*file]
    if not any(f'"{name}"' in line for line in lines for name in ("mapping", "guild", "ts")):
        return None, None  # to parse other JSON would take as long again
    value = _json_value("\n".join(lines))
    return _app_of(value), value


def _json_value(text: str) -> Any:
    """Return a JSON value, or None if the text is not JSON."""
    try:
        return from_json(text)
    except ValueError:
        return None


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
        app: a name in APPS.
        content: lines or JSON value; None if the path is the folder of a Slack export.
        me: the participant who is the assistant; everyone else is the user.
        tell: called with a note on the number of messages that were left out.
    """
    channels = APPS[app](content, path)
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


def _sessions(channel: list[Post]) -> Iterator[list[Post]]:
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
