"""Read a character file as the conversations that are drawn from it."""

from collections.abc import Sequence

from microgpt import Conversation, ConversationsError, ReadOptions, Tell, TextFile

SUFFIX = ".toml"


def read(file: TextFile, how: ReadOptions, tell: Tell | None) -> Sequence[Conversation] | None:
    """Return the conversations drawn from a character file, or None for a file of another kind."""
    if file.path.suffix.lower() != SUFFIX or how.text == "stream":
        return None
    if not how.chat:
        if not any("[topics" in line for line in file):
            return None  # another TOML file, such as a program's settings
        raise ConversationsError(f"{file.path} describes conversations; read them with --chat")

    from microgpt_characters.character_file import read_character
    from microgpt_characters.conversations import Drawing

    file.is_in_order = True
    return Drawing(read_character(file)).lessons()
