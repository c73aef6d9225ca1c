"""Read conversations in plain text: ChatML, or lines that begin with a role, such as `User:`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from microgpt.data.text_file import ConversationsError, ReadOptions, TextFile
from microgpt.data.tokenizer import Documents
from microgpt.plugins import Tell

N_HEAD = 200  # number of lines that are examined to recognise a transcript
START, END = "<|im_start|>", "<|im_end|>"
USERS = ("user", "human", "question", "q", "customer", "visitor", "instruction")
ASSISTANTS = ("assistant", "bot", "chatbot", "ai", "answer", "a", "agent", "gpt", "response")
ROLE_OF = {**dict.fromkeys(USERS, "user"), **dict.fromkeys(ASSISTANTS, "assistant")}
ROLE_OF["system"] = "system"
LABEL = re.compile(rf"[#*_>\s]{{0,4}}({'|'.join(ROLE_OF)})(?: \d+)?[*_]*:[*_]*(?:\s+|$)(.*)", re.I)
CHATML = re.compile(rf"{re.escape(START)}(\w+)(.*)")

Turn = tuple[str, str]  # role and text of a line; the role is empty if the line has no label


def refuse_transcript(
    file: TextFile, how: ReadOptions, tell: Tell | None = None
) -> Documents | None:
    """Raise ConversationsError for a transcript unless the options say how to read it as text."""
    if how.text is None and how.separator is None and is_transcript(islice(file, N_HEAD)):
        ways = "read them with --chat, or as text with --text stream"
        raise ConversationsError(f"{file.path} has conversations; {ways}")
    return None


def is_transcript(head: Iterable[str]) -> bool:
    """Return whether both roles occur and the first line and a quarter of all lines name a role."""
    turns = [_turn(line) for line in head if line.strip(END)]
    roles = [role for role, _ in turns if role]
    is_begun = bool(turns) and bool(turns[0][0])
    return is_begun and {*roles} >= {"user", "assistant"} and 4 * len(roles) >= len(turns)


def conversations(file: TextFile) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages of each conversation.

    If blank lines separate several blocks, and each contains a question and an answer, each block
    is a conversation. Otherwise, each exchange of a question and its answer is a conversation.
    """
    blocks = [block for block in _blocks(file) if any(role for role, _ in block)]
    is_whole = len(blocks) > 1 and all(
        block[0][0] != "assistant" and {role for role, _ in block} >= {"user", "assistant"}
        for block in blocks
    )
    for block in blocks if is_whole else [[*chain.from_iterable(blocks)]]:
        said: list[dict[str, Any]] = []
        for role, text in block:
            last = said[-1]["role"] if said else "assistant"
            if said and (not role or role == last):
                said[-1]["content"] += f"\n{text}"
                continue
            if said and role != "assistant" and last == "assistant" and not is_whole:
                yield _stripped(said)
                said = []
            if said or role != "assistant":  # a conversation cannot begin with the assistant
                said.append({"role": role or "user", "content": text})
        if said:
            yield _stripped(said)


def _stripped(said: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages without surrounding white space; omit empty messages."""
    stripped = [{**turn, "content": turn["content"].strip()} for turn in said]
    return [turn for turn in stripped if turn["content"]]


def _blocks(lines: Iterable[str]) -> Iterator[list[Turn]]:
    """Yield the blocks between blank lines; a ChatML message can contain blank lines."""
    block: list[Turn] = []
    is_open = False
    for line in lines:
        is_open = START in line or (is_open and END not in line)
        if line.strip() or is_open:
            block.append(_turn(line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _turn(line: str) -> Turn:
    """Return the role that a line begins with ("" if it has none) and the rest of the line."""
    line = line.replace(END, "")
    found = CHATML.match(line) or LABEL.match(line)
    return (ROLE_OF.get(found[1].lower(), ""), found[2]) if found else ("", line)
