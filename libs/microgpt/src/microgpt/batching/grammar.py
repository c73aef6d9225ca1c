"""Match texts and tokens with regular expressions and JSON schemas, by llguidance.

llguidance reads in linear time: it makes an automaton of derivatives of an expression as it goes.
Expressions have the syntax of Rust's regex package, without look-around and word boundaries.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from microgpt.errors import ConfigError
from microgpt.printable import printable

if TYPE_CHECKING:
    from llguidance import LLTokenizer

MAX_AUTOMATON = 2_000_000  # in llguidance's unit of work; a text pattern then takes 20 MiB
END = 256  # token that ends a text of bytes
BYTES = (*(bytes([byte]) for byte in range(END)), b"")
SPACES = {"whitespace_pattern": " ?"}  # if more were allowed, a model could repeat them forever
HEAD = '%llguidance {"no_forcing": true}\n'  # allow all tokenizations of the same text


class GrammarMatcher:
    """Reads a text of a grammar, token by token."""

    def __init__(
        self, grammar: str, tokens: tuple[bytes, ...] = BYTES, stop: tuple[int, ...] = (END,)
    ) -> None:
        """Begin a text of the tokens; empty ones are not allowed, except to stop."""
        library = _library()
        limits = library.LLParserLimits(step_lexer_fuel=MAX_AUTOMATON, verbose_errors=False)
        source = library.LLMatcher.grammar_from_lark(grammar)
        vocabulary = _vocabulary(tokens, stop)
        self._matcher = library.LLMatcher(vocabulary, source, log_level=0, limits=limits)
        self.add = self._matcher.consume_token  # reads a token that may come next
        self._lock = Lock()  # llguidance refuses calls while another one is running

    @property
    def error(self) -> str:
        """Error in the grammar in one line, or an empty string."""
        error = self._matcher.get_error()
        found = re.search(r"^error: (.*)", error, re.M)
        found = found or re.search(r"(?:in regex\)|JSON schema): (.*)", error)
        return printable(found[1] if found else " ".join(error.split()))

    def mask(self) -> bytes | None:
        """Return one bit per token, set if the token may come next; None if no token may.

        Raise ConfigError if the automaton has become too large; `reads` has been wrong then.
        """
        with self._lock:
            mask: bytes = self._matcher.compute_bitmask()
        if self.error and "NoExtension" not in self.error:
            raise ConfigError(f"the pattern is too complex: {self.error}")
        return None if self.error else mask

    def reads(self, tokens: Sequence[int]) -> bool:
        """Return whether the tokens may follow; call `mask` later to find out if this is right."""
        with self._lock:
            n_read: int = self._matcher.validate_tokens(tokens)
        return n_read == len(tokens)


def literal(text: str) -> str:
    """Return an expression for a text, which is also valid inside a character class."""
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)


def regex_grammar(pattern: str, *others: str) -> str:
    """Return the grammar of the texts that match a pattern, which is checked, and others."""
    try:
        problem = GrammarMatcher(f"{HEAD}start: {_term(pattern)}").error
    except UnicodeEncodeError:
        problem = "it is not valid Unicode"
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:  # llguidance would omit it
        problem = "it ends with a backslash"
    if problem:
        raise ConfigError(f"invalid pattern '{printable(pattern)}': {problem}")
    return f"{HEAD}start: TEXT\nTEXT: {' & '.join(map(_term, [pattern, *others]))}"


def json_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of the JSON texts that fit a schema. Refuse unsupported schemas."""
    grammar = f"{HEAD}start: %json {json.dumps({**schema, 'x-guidance': SPACES})}"
    if problem := GrammarMatcher(grammar).error:
        raise ConfigError(f"the JSON schema cannot be used: {problem}")
    return grammar


def _term(pattern: str) -> str:
    return f"/{_library().regex_to_lark(pattern or '(?:)', '')}/"  # // begins a comment


@lru_cache(maxsize=8)
def _vocabulary(tokens: tuple[bytes, ...], stop: tuple[int, ...]) -> "LLTokenizer":
    special = [i for i, token in enumerate(tokens) if not token]
    names = SimpleNamespace(
        tokens=tokens, special_token_ids=special, eos_token_id=stop[0], bos_token_id=None
    )
    wrapper = _library().TokenizerWrapper(names)
    found: LLTokenizer = _library().LLTokenizer(wrapper, eos_token=[*stop], slices=[])
    return found


def _library() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise ConfigError(
            f"patterns and JSON require the patterns extra ({error}); "
            "run: pip install 'microgpt-lib[patterns]'"
        ) from error
    return llguidance
