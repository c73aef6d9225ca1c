"""Synthetic conversations with correct answers, generated from a small grammar.

phrases.toml has the words, `tasks` the questions, `grammar` whole conversations.
"""

from microgpt.synthetic_chat.grammar import ALPHABET, MAX_TOKENS, conversations, json_line, messages

__all__ = ["ALPHABET", "MAX_TOKENS", "conversations", "json_line", "messages"]
