"""A reader of TOML files that give the number and the seed of conversations to generate.

The file of the preset chat is data/chat.toml.
"""

from collections.abc import Sequence

from microgpt import Conversation, DataError, ReadOptions, Tell, TextFile

MAX_CONVERSATIONS = 10_000_000


def read(
    file: TextFile, how: ReadOptions, tell: Tell | None = None
) -> Sequence[Conversation] | None:
    """Return the conversations that a file asks for; None if it is not a TOML file.

    Raises:
        DataError: the file is not valid TOML, or has other keys.
        ConfigError: a value is invalid.
    """
    if file.path.suffix != ".toml" or not how.chat:
        return None

    import tomllib  # not for other files

    from microgpt import checked
    from microgpt_characters.synthetic_chat import lessons

    try:
        facts = tomllib.loads("\n".join(file))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{file.path} is not valid TOML: {error}; fix that line") from error
    if facts.keys() != {"n_conversations", "seed"}:
        raise DataError(f"{file.path} must have n_conversations and seed, and no other keys")
    for name, least in {"n_conversations": 5, "seed": 0}.items():
        checked(f"{file.path}: {name}", facts[name], int, minimum=least, maximum=MAX_CONVERSATIONS)
    file.is_in_order = True
    return lessons(facts["n_conversations"], facts["seed"])
