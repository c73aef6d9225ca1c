"""A reader of TOML files that give the number and the seed of conversations to generate.

The file of the preset chat is data/chat.toml.
"""

from collections.abc import Sequence

from microgpt import Conversation, DataError, ReadOptions, Tell, TextFile

MAX_CONVERSATIONS = 1_000_000  # they take about two minutes and 2 GB


def read(
    file: TextFile, how: ReadOptions, tell: Tell | None = None
) -> Sequence[Conversation] | None:
    """Return the conversations that a file asks for; None if it is not such a file.

    Raises:
        ConversationsError: text is requested.
        DataError: the file is not valid TOML, or has other keys.
        ConfigError: a value is invalid.
    """
    if file.path.suffix.lower() != ".toml":
        return None

    import tomllib  # not for other files

    from microgpt import MAX_SEED, ConversationsError, checked
    from microgpt_characters.synthetic_chat import lessons

    facts, problem = {}, f"{file.path} must have n_conversations and seed, and no other keys"
    try:
        facts = tomllib.loads("\n".join(file))
    except tomllib.TOMLDecodeError as error:
        problem = f"{file.path} is not valid TOML: {error}; fix that line"
    is_such = facts.keys() == {"n_conversations", "seed"}
    if not how.chat:
        if is_such:
            raise ConversationsError(f"{file.path} has conversations; read them with --chat")
        return None
    if not is_such:
        raise DataError(problem)
    n, seed = facts["n_conversations"], facts["seed"]
    checked(f"{file.path}: n_conversations", n, int, minimum=5, maximum=MAX_CONVERSATIONS)
    checked(f"{file.path}: seed", seed, int, minimum=0, maximum=MAX_SEED)
    file.is_in_order = True
    return lessons(n, seed)
