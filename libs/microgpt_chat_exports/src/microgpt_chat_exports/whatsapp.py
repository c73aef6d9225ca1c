"""Messages of a WhatsApp chat, exported as text, in any language.

Android writes `12/31/23, 9:41 PM - Anna: hi`, and iOS `[31.12.23, 21:41:02] Anna: hi`.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from microgpt_chat_exports.posts import Post, post

IMPOSSIBLE = -1.0  # time of a date that does not exist

_M = "[\u200e\u200f\u202a\u202c]*+"  # marks for the direction of text, which have no width
MESSAGE = re.compile(
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


def channels(content: Iterable[str], path: Path) -> list[list[Post]]:
    """Return the messages; a line without a date and a time continues the previous message.

    The order of day, month and year is the one with the fewest impossible dates; ties are resolved
    by the fewest steps back in time, then by the shortest duration.
    """
    lines = [(MESSAGE.match(line), line) for line in content]

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
    return [[_post(who, at, "\n".join(some)) for who, at, some in found]]


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


def _post(who: str, at: float, text: str) -> Post:
    text = _ADDED.sub("", text)
    is_own = not who or text.startswith("\u200e")  # of WhatsApp, not of the sender
    text = text.translate(_MARKS).strip()
    who = who.translate(_MARKS).replace("~", "", who.startswith("~"))
    return post(who, at, "" if is_own or _NO_TEXT.fullmatch(text) else text)
