"""Conversations from a grammar of ours, small enough for a tiny model to learn.

words, tables, arithmetic, small_talk, memory, outside    the exchanges, by what they ask for
exchange                                                  what these have in common
grammar                                                   whole conversations of them
"""

from microgpt.synthetic_chat.grammar import ALPHABET, MAX_TOKENS, conversations, json_line, messages

__all__ = ["ALPHABET", "MAX_TOKENS", "conversations", "json_line", "messages"]
