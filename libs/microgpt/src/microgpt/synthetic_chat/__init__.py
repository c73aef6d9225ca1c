"""Conversations with right answers, drawn from a grammar that a tiny model can learn.

phrases.toml holds the words, `tasks` what is asked, `grammar` whole conversations.
"""

from microgpt.synthetic_chat.grammar import ALPHABET, MAX_TOKENS, conversations, json_line, messages

__all__ = ["ALPHABET", "MAX_TOKENS", "conversations", "json_line", "messages"]
