"""Generate synthetic conversations with correct answers from a small grammar.

phrases.toml contains the phrases, `tasks` draws exchanges, and `grammar` draws conversations.
"""

from microgpt_characters.synthetic_chat.grammar import (
    ALPHABET,
    MAX_TOKENS,
    conversations,
    json_line,
    lessons,
    messages,
)

__all__ = ["ALPHABET", "MAX_TOKENS", "conversations", "json_line", "lessons", "messages"]
