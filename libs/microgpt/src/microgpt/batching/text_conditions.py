"""Sample texts that meet conditions, by rejection.

Rejection keeps the conditional distribution of the model. A mask of what cannot match would not: it
gives each allowed token the same share, however rarely a matching text follows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from microgpt.batching.grammar import TextPattern, literal
from microgpt.batching.stop_strings import cut_at_stop, stable_prefix
from microgpt.config import check_type
from microgpt.data.tokenizer import Tokenizer
from microgpt.errors import ConfigError, PromptError
from microgpt.model_config import check_whole
from microgpt.printable import printable

MAX_WORK = 10**11  # weights times characters from one matching text to the next: a few seconds
WORK_PER_CHARACTER = 20_000  # what a character costs beside its weights


@dataclass(frozen=True)
class TextConditions:
    """Conditions on whole texts, including the prompt."""

    matches: str | None = None  # regular expression for the whole text; needs the extra `patterns`
    starts: str = ""
    ends: str = ""
    min_length: int = 0  # in characters
    max_length: int | None = None

    def __post_init__(self) -> None:
        for name in ("starts", "ends", *([] if self.matches is None else ["matches"])):
            check_type(name, text := getattr(self, name), str)
            if not text.isprintable() and text != text.encode(errors="replace").decode():
                raise ConfigError(f"{name} is not valid Unicode: '{printable(text)}'")
        check_whole("min_length", self.min_length, minimum=0)
        if self.max_length is not None:
            check_whole("max_length", self.max_length, minimum=0)
            if self.min_length > self.max_length:
                raise ConfigError(
                    f"min_length {self.min_length} exceeds max_length {self.max_length}"
                )


class TextFilter:
    """Selects the texts that meet conditions, and counts the others."""

    def __init__(
        self,
        conditions: TextConditions,
        tokenizer: Tokenizer,
        *,
        prompt: str,
        n_new: int,
        stop: tuple[str, ...] = (),
        n_weights: int = 0,
    ) -> None:
        """Prepare to select texts of the prompt and up to n_new tokens, cut at stop strings.

        Raises:
            ConfigError: the pattern is invalid, or no text can meet the conditions.
        """
        self._conditions, self._tokenizer, self._prompt = conditions, tokenizer, prompt
        self._stop, self._pattern = stop, None
        self._work = n_weights + WORK_PER_CHARACTER  # per character
        self._n_characters = 0  # since the last text that met the conditions
        self.n_drawn = self.n_accepted = 0
        self._check(n_new)
        if conditions.matches is not None:
            self._pattern = self._compiled(conditions.matches, n_new)

    def _check(self, n_new: int) -> None:
        """Raise ConfigError if conditions other than the pattern contradict prompt or model."""
        c, chars = self._conditions, self._tokenizer.chars
        longest = None if chars is None else len(self._prompt) + n_new
        lengths = [length for length in (c.max_length, longest) if length is not None]
        for name, length in (
            ("min_length", c.min_length), ("starts", len(c.starts)), ("ends", len(c.ends))
        ):  # fmt: skip
            if lengths and length > min(lengths):
                raise ConfigError(
                    f"no text can match: {name} requires {length} characters, but a text has at "
                    f"most {min(lengths)}"
                )
        for name, text in (("starts", c.starts), ("ends", c.ends)):
            unknown = [] if chars is None else [c for c in text if c not in (*chars, *self._prompt)]
            if unknown:
                raise ConfigError(
                    f"no text can match: {unknown[0]!r} in {name} is not in the vocabulary"
                )
        if not self._may_begin(self._prompt):
            shown = printable(self._prompt)
            raise ConfigError(f"no text can match: the prompt '{shown}' contradicts the conditions")

    def _compiled(self, matches: str, n_new: int) -> TextPattern:
        c, chars = self._conditions, self._tokenizer.chars
        most = "" if c.max_length is None else c.max_length
        others = (
            f"(?s:{literal(c.starts)}.*)",
            f"(?s:.*{literal(c.ends)})",
            f"(?s:.{{{c.min_length},{most}}})",
        )
        limit = "(?s:.*)" if chars is None else f"[{literal(''.join(chars))}]{{0,{n_new}}}"
        return TextPattern(matches, *others, limits=[literal(self._prompt) + limit])

    def may_continue(self, tokens: Sequence[int]) -> bool:
        """Return whether a text that begins with the prompt and these tokens can be accepted."""
        text = cut_at_stop(self._tokenizer.decode(tokens), self._stop)
        return self._may_begin(self._prompt + stable_prefix(text, self._stop))

    def _may_begin(self, text: str) -> bool:
        c = self._conditions
        if c.max_length is not None and len(text) > c.max_length:
            return False
        if not (text.startswith(c.starts) or c.starts.startswith(text)):
            return False
        return self._pattern is None or self._pattern.may_begin(text)

    def _meets(self, text: str) -> bool:
        c = self._conditions
        if not (c.min_length <= len(text) and text.endswith(c.ends) and text.startswith(c.starts)):
            return False
        if c.max_length is not None and len(text) > c.max_length:
            return False
        return self._pattern is None or self._pattern.matches(text)

    def accepted(self, texts: Sequence[str]) -> list[str]:
        """Return the texts, of prompt and continuation, that meet the conditions.

        Raises:
            PromptError: too few texts do.
            ConfigError: the pattern is too large.
        """
        good = [text for text in texts if self._meets(text)]
        if self._pattern:
            self._pattern.check()
        self.n_drawn += len(texts)
        self.n_accepted += len(good)
        n_characters = sum(map(len, texts)) + len(texts) * (1 - len(self._prompt))
        self._n_characters = 0 if good else self._n_characters + n_characters
        if self._n_characters * self._work > MAX_WORK:
            rate = f"below {1 / self.n_drawn:.1g}"
            if self.n_accepted:
                rate = f"{self.n_accepted / self.n_drawn:.1g}"
            raise PromptError(
                f"too few texts match: {self.n_accepted:,} of {self.n_drawn:,} samples "
                f"(acceptance rate {rate}); use weaker conditions, another prompt or a higher "
                "temperature"
            )
        return good

    def select(self, texts: Iterator[str], n_together: int) -> Iterator[str]:
        """Yield the texts that meet the conditions, after reading n_together texts at a time."""
        while batch := list(islice(texts, n_together)):
            yield from self.accepted(batch)
