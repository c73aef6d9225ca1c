"""Sample texts that meet conditions, by rejection.

Rejection keeps the conditional distribution of the model. A mask of what cannot match would not: it
scales the allowed tokens to a total of 1, however rarely a matching text follows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf

from microgpt.batching.grammar import END, GrammarMatcher, literal, regex_grammar
from microgpt.batching.stop_strings import cut_at_stop, stable_prefix
from microgpt.config import check_type
from microgpt.data.tokenizer import Tokenizer
from microgpt.errors import ConfigError, PromptError
from microgpt.model_config import check_whole

MAX_WORK = 5 * 10**10  # weights times characters from one match to the next: about two seconds
WORK_PER_CHARACTER = 20_000  # of a character, beside the weights
NO_TEXT = (
    "no text can match: the conditions contradict each other or the prompt, or require characters "
    "or a length that the model does not generate"
)


@dataclass(frozen=True)
class TextConditions:
    """Conditions on whole texts, including the prompt."""

    matches: str | None = None  # regular expression for the whole text; needs the extra `patterns`
    starts: str = ""
    ends: str = ""
    min_length: int = 0  # in characters
    max_length: int | None = None

    def __post_init__(self) -> None:
        for name in ("matches", "starts", "ends"):
            check_type(name, getattr(self, name) or "", str)
        for name in ("min_length", "max_length"):
            check_whole(name, getattr(self, name) or 0, minimum=0)
        if self.max_length is not None and self.min_length > self.max_length:
            raise ConfigError(
                f"min_length must be <= max_length, {self.max_length}, got {self.min_length}"
            )

    def __bool__(self) -> bool:
        return self != NO_CONDITIONS


NO_CONDITIONS = TextConditions()


class TextFilter:
    """Selects the texts that meet conditions."""

    def __init__(
        self,
        conditions: TextConditions,
        tokenizer: Tokenizer,
        prompt: str,
        n_new: int,
        n_weights: int,
        stop: Sequence[str] = (),
    ) -> None:
        """Raise ConfigError if no text of the prompt and up to n_new tokens can be accepted."""
        self._conditions, self._tokenizer = conditions, tokenizer
        self._prompt, self._stop = prompt, tuple(stop)
        self._work = n_weights + WORK_PER_CHARACTER  # per character
        self._n_characters = self._n_drawn = self._n_accepted = 0  # the first since the last match
        self._pattern: GrammarMatcher | None = None
        c, chars = conditions, tokenizer.chars
        longest = inf if c.max_length is None else c.max_length
        self._longest = longest if chars is None else min(longest, len(prompt) + n_new)
        is_possible = max(c.min_length, len(c.starts), len(c.ends)) <= self._longest
        if chars is not None and (missing := {*(c.starts + c.ends)} - {*chars, *prompt}):
            char = min(missing)
            raise ConfigError(f"no text can match: the vocabulary does not contain {char!r}")
        if c.matches is not None:
            length = f"(?s:.{{{c.min_length},{'' if c.max_length is None else c.max_length}}})"
            others = f"{literal(c.starts)}(?s:.*)", f"(?s:.*){literal(c.ends)}", length
            self._pattern = GrammarMatcher(regex_grammar(c.matches, *others))
            new = "(?s:.*)" if chars is None else f"[{literal(''.join(chars))}]{{0,{n_new}}}"
            possible = regex_grammar(c.matches, *others, literal(prompt) + new)
            is_possible &= GrammarMatcher(possible).mask() is not None
        if not (is_possible and self._may_begin(prompt)):
            raise ConfigError(NO_TEXT)

    def may_continue(self, tokens: Sequence[int]) -> bool:
        """Return whether a text that begins with the prompt and these tokens can be accepted."""
        text = cut_at_stop(self._tokenizer.decode(tokens), self._stop)
        return self._may_begin(self._prompt + stable_prefix(text, self._stop))

    def _may_begin(self, text: str) -> bool:
        c = self._conditions
        fits = text.startswith(c.starts[: len(text)]) and len(text) <= self._longest
        return fits and (self._pattern is None or self._pattern.reads(text.encode()))

    def _meets(self, text: str) -> bool:
        if self._pattern is not None:
            return self._pattern.reads([*text.encode(), END])
        c = self._conditions
        is_long = len(text) >= max(c.min_length, len(c.starts))
        return is_long and text.endswith(c.ends) and self._may_begin(text)

    def accepted(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that meet the conditions. Raise PromptError if too few do."""
        good = [text for text in texts if self._meets(text)]
        if self._pattern:
            self._pattern.mask()
        self._n_drawn += len(texts)
        self._n_accepted += len(good)
        n_characters = sum(len(text) - len(self._prompt) + 1 for text in texts)
        self._n_characters = 0 if good else self._n_characters + n_characters
        if self._n_characters * self._work > MAX_WORK:
            below = "" if self._n_accepted else "below "
            rate = f"{below}{max(1, self._n_accepted) / self._n_drawn:.1g}"
            raise PromptError(
                f"too few texts match: {self._n_accepted:,} of {self._n_drawn:,} (acceptance rate "
                f"{rate}); use weaker conditions, another prompt or a higher temperature"
            )
        return good

    def select(self, texts: Iterator[str], n_together: int) -> Iterator[str]:
        """Yield the texts that meet the conditions, after reading n_together texts at a time."""
        while batch := list(islice(texts, n_together)):
            yield from self.accepted(batch)
