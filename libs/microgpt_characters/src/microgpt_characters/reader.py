"""Read the file of a character as conversations, and the wordings of a table as questions."""

from collections.abc import Sequence

from microgpt import (
    Conversation,
    ConversationsError,
    Message,
    ReadOptions,
    Tell,
    TextFile,
    question_in,
    read_records,
)

SUFFIX, WORDINGS = ".toml", "wordings"  # of a character; the column with other wordings, a|b


def read(
    file: TextFile, how: ReadOptions, tell: Tell | None = None
) -> Sequence[Conversation] | None:
    """Return the conversations of a character or of a table with wordings; None for other files."""
    if file.path.suffix.lower() != SUFFIX:
        return _with_wordings(file) if how.chat else None
    if how.text == "stream":
        return None
    if not how.chat:
        raise ConversationsError(f"{file.path} describes conversations; read them with --chat")

    from microgpt_characters.conversations import Drawing
    from microgpt_characters.grammar import read_character

    found = read_character(file)
    file.is_in_order = True
    return Drawing(found).lessons()


def _with_wordings(file: TextFile) -> list[Conversation] | None:
    """Return each question and each of its wordings with the answer; None without wordings."""
    if WORDINGS not in next(iter(file), "").lower():
        return None
    found: list[Conversation] = []
    for _, row in read_records(file, "conversation").values:
        pair = question_in(row) if isinstance(row, dict) and WORDINGS in row else None
        if not pair:
            return None
        reply = Message("assistant", pair[1].strip())
        asked = map(str.strip, (pair[0], *(row[WORDINGS] or "").split("|")))
        found += [(Message("user", text), reply) for text in asked if text and reply.content]
    return found
