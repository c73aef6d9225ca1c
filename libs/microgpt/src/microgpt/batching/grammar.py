"""Regular expressions for texts, and masks of the tokens that a grammar allows, by llguidance.

llguidance reads in linear time: it makes an automaton of derivatives of an expression as it goes.
Expressions have the syntax of Rust's regex package, without look-around and word boundaries.
"""

import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from microgpt.data.tokenizer import Tokenizer
from microgpt.errors import ConfigError, PromptError
from microgpt.printable import printable

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

MAX_AUTOMATON = 2_000_000  # in llguidance's unit of work; a text pattern then takes 20 MiB
END = 256  # token that ends a text of bytes
SPACES = " ?"  # white space in JSON; if more were allowed, a model could repeat it forever
_HEAD = '%llguidance {"no_forcing": true}\n'  # allow all tokenizations of the same text
_NOTHING_LEFT = "NoExtension"  # in llguidance's message if no token is allowed


class TextPattern:
    """A regular expression for whole texts."""

    def __init__(self, pattern: str, *others: str, limits: Collection[str] = ()) -> None:
        """Combine expressions: a text has to match all of them.

        Args:
            limits: expressions that all texts of the model match.

        Raises:
            ConfigError: the pattern is invalid, or no text can match.
        """
        possible = _matcher(_byte_tokenizer(), regex_grammar(pattern, *others, *limits))
        possible.compute_bitmask()
        error = possible.get_error()
        if _NOTHING_LEFT in error:
            raise ConfigError(
                f"no text can match '{printable(pattern)}': it contradicts the other "
                "conditions or the prompt, or requires characters or a length that the model does "
                "not generate"
            )
        _check_size(error)
        self._matcher = _matcher(_byte_tokenizer(), regex_grammar(pattern, *others))

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches; do not rely on False before `check`."""
        return self._reads([*text.encode(), END])

    def may_begin(self, text: str) -> bool:
        """Return whether a text that begins with this one can match; see `matches`."""
        return self._reads([*text.encode()])

    def _reads(self, tokens: list[int]) -> bool:
        return self._matcher.validate_tokens(tokens) == len(tokens)

    def check(self) -> None:
        """Raise ConfigError if the automaton has become too large, so that texts did not match."""
        self._matcher.compute_bitmask()
        _check_size(self._matcher.get_error())


class TokenMask:
    """The tokens that a grammar allows next in a growing text."""

    def __init__(self, grammar: str, tokenizer: Tokenizer, stop: Collection[int]) -> None:
        """Begin a text, which a stop token may end when it is complete."""
        self._n = tokenizer.vocab_size
        self._matcher = _matcher(_tokenizer_of(tokenizer, tuple(stop)), grammar)

    def forbidden(self) -> set[int]:
        """Return the tokens that cannot come next.

        Raises:
            PromptError: no token can.
        """
        mask = self._matcher.compute_bitmask()
        error = self._matcher.get_error()
        if _NOTHING_LEFT in error:
            raise PromptError(
                "response_format requires a character that is not in the vocabulary of the model"
            )
        _check_size(error)
        return {token for token in range(self._n) if not mask[token >> 3] >> (token & 7) & 1}

    def add(self, token: int) -> None:
        """Append a token that is not forbidden."""
        self._matcher.consume_token(token)


def literal(text: str) -> str:
    """Return an expression for a text, which is also valid inside a character class."""
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)


def regex_grammar(pattern: str, *others: str) -> str:
    """Return the grammar of the texts that match a pattern and other, valid expressions.

    Raises:
        ConfigError: the pattern is invalid.
    """
    problem = _problem(f"{_HEAD}start: {_term(pattern)}")
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:  # llguidance would omit it
        problem = "it ends with a backslash"
    if problem:
        raise ConfigError(f"invalid pattern '{printable(pattern)}': {problem}")
    return f"{_HEAD}start: TEXT\nTEXT: {' & '.join(map(_term, [pattern, *others]))}"


def json_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of the JSON texts that fit a JSON schema.

    Raises:
        ConfigError: the schema is invalid, or uses a feature that llguidance does not support.
    """
    options = {"x-guidance": {"whitespace_pattern": SPACES}}
    grammar = f"{_HEAD}start: %json {json.dumps({**schema, **options})}"
    if problem := _problem(grammar):
        raise ConfigError(f"the JSON schema cannot be used: {problem}")
    return grammar


def _term(pattern: str) -> str:
    return f"/{_library().regex_to_lark(pattern, '')}/"


def _problem(grammar: str) -> str:
    """Return the error in a grammar as one line, or an empty string."""
    error = _matcher(_byte_tokenizer(), grammar).get_error()
    found = re.search(r"^error: (.*)", error, re.M)
    found = found or re.search(r"(?:in regex\)|JSON schema): (.*)", error)
    return printable(found[1] if found else " ".join(error.split()))


def _check_size(error: str) -> None:
    if error:
        raise ConfigError(f"the pattern is too large ({printable(error)}); simplify it")


def _matcher(tokenizer: "LLTokenizer", grammar: str) -> "LLMatcher":
    library = _library()
    limits = library.LLParserLimits(step_lexer_fuel=MAX_AUTOMATON, verbose_errors=False)
    source = library.LLMatcher.grammar_from_lark(grammar)
    matcher: LLMatcher = library.LLMatcher(tokenizer, source, log_level=0, limits=limits)
    return matcher


@lru_cache(maxsize=1)
def _byte_tokenizer() -> "LLTokenizer":
    return _Vocabulary([*(bytes([byte]) for byte in range(END)), b""]).tokenizer(END)


@lru_cache(maxsize=8)
def _tokenizer_of(tokenizer: Tokenizer, stop: tuple[int, ...]) -> "LLTokenizer":
    names = [name if isinstance(name, bytes) else name.encode() for name in tokenizer.names]
    for token in tokenizer.special_ids:
        names[token] = b""
    return _Vocabulary(names).tokenizer(*stop)


class _Vocabulary:
    """A vocabulary in the form that llguidance reads. Special tokens are empty."""

    eos_token_id, bos_token_id = 0, None  # `tokenizer` sets the first one

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.special_token_ids = [i for i, token in enumerate(tokens) if not token]

    def __call__(self, text: bytes) -> list[int]:
        """Encode text that a grammar forces; there is none."""
        return []

    def tokenizer(self, *stop: int) -> "LLTokenizer":
        library = _library()
        wrapper = library.TokenizerWrapper(self)
        found: LLTokenizer = library.LLTokenizer(wrapper, eos_token=[*stop], slices=[])
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
