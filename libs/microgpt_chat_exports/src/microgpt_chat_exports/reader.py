"""Read the conversations of a chat exported from ChatGPT, WhatsApp, Telegram, Discord or Slack."""

import os
from collections import Counter
from collections.abc import Iterator
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
from microgpt_chat_exports.chat_formats import APPS, Post, one_line, whatsapp_head

PAUSE_H = 6  # a longer pause, such as a night, ends a conversation; a morning at work does not
MOST = 20  # maximum number of participants in an error message
N_HEAD = 20  # number of lines that are searched for the beginning of a WhatsApp message
JSON_FIELDS = ("mapping", "guild", "from_id", "ts")  # every JSON export has at least one of them


def read(file: TextFile, how: ReadOptions, tell: Tell | None) -> list[Conversation] | None:
    """Return a chat export's conversations; None for other files, or if it is read as text."""
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
        raise ConversationsError(f"{file.path} has conversations; use --chat or a chat model")
    if tell and how.text is None:
        tell(f"{file.path} may be a WhatsApp export; --chat --me NAME reads its conversations")
    return None


def _recognised(file: TextFile) -> tuple[str | None, Any]:
    """Return the app that exported a file, or None, and the lines or the JSON value of the file."""
    head = [*islice(dropwhile(lambda line: not line.strip(), file), 1 + N_HEAD)]
    if any(map(whatsapp_head, head)):
        return "WhatsApp", file
    opened = [line for line in head if line.lstrip().startswith(("[", "{"))]
    if not head or opened[:1] != head[:1] or (opened[1:] and head[0].rstrip()[-1] in "]}"):
        return None, None  # either JSON Lines or not JSON
    lines = [*file]
    if not any(f'"{name}"' in line for line in lines for name in JSON_FIELDS):
        return None, None  # not an export, so its JSON is parsed only later
    try:
        value = from_json("\n".join(lines))
    except ValueError:
        return None, None
    return _app_of(value), value


def _app_of(value: Any) -> str | None:
    """Return the app that exported a JSON value, or None if unknown."""
    first = value[0] if isinstance(value, list) and value else value
    keys = first.keys() if isinstance(first, dict) else set()
    if "mapping" in keys and keys & {"current_node", "title"}:
        return "ChatGPT"
    if value is first and keys >= {"guild", "channel", "messages"}:
        return "Discord"
    if value is first and (keys >= {"type", "id", "messages"} or "chats" in keys):
        return "Telegram"
    return "Slack" if "ts" in keys and first.get("type") == "message" else None


def _conversations(
    app: str, content: Any, path: Path, me: str | None, tell: Tell | None
) -> Iterator[Conversation]:
    """Yield conversations in which one participant is the assistant; all others are the user."""
    channels = APPS[app](content, path)
    said = [[post for post in channel if post.text] for channel in channels]
    me = _assistant(app, Counter(post.who for channel in said for post in channel), path, me)
    n_found = n_kept = 0
    for session in (session for channel in said for session in _sessions(channel)):
        sides = [(who, [*posts]) for who, posts in groupby(session, lambda post: post.who == me)]
        sides = sides[bool(sides) and sides[0][0] :]
        sides = sides[: len(sides) // 2 * 2]  # drops a last message without a reply
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
    """Return the assistant's full name (`me` can be a part of it); raise DataError if unclear."""
    if app == "ChatGPT":
        if me is None:
            return "assistant"
        raise DataError(f"{path} is a ChatGPT export, which has an assistant; omit --me")
    problem = f"{path} is a {app} export, a chat between people"
    if me is not None:
        name = one_line(me).casefold()
        fits = [who for who in counts if f" {name} " in f" {who.casefold()} "]
        if me in counts or len(fits) == 1:
            return me if me in counts else fits.pop()
        counts = Counter({who: counts[who] for who in fits or counts})
        who = f"{len(fits)} in {path} are" if fits else f"nobody in {path} is"
        problem = f"{who} called {printable(me)!r}"
    named = [f"{printable(who):.99} ({count(n, 'message')})" for who, n in counts.most_common(MOST)]
    named += [f"and {len(counts) - MOST:,} more"] if len(counts) > MOST else []
    names = ", ".join(named) or "nobody has written a message"
    raise DataError(f"{problem}; name the assistant with --me NAME (me= in Python): {names}")
