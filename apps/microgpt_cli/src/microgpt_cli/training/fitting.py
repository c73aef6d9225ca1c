"""Choose the settings that neither the user nor a recipe gives, for a budget of operations."""

from collections.abc import Container, Mapping, Sequence, Set
from itertools import chain
from time import perf_counter
from typing import Any, NamedTuple

from microgpt.config import EngineName, ModelConfig, TextKind, TrainConfig, Use
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE, BpeTokenizer, can_learn_bpe
from microgpt.data.folding import FoldingTokenizer, char_tokenizer
from microgpt.data.sizes import Sizes, measure
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, Tokenizer, texts_of
from microgpt.errors import ConfigError
from microgpt.model import count_params
from microgpt.state import TrainingPlan
from microgpt.training.choice import DEFAULT_BUDGET, NAMES_SHA256, Choice, choose, choose_vocabulary
from microgpt.training.engines import DEFAULT_DTYPE
from microgpt.training.speed import TYPICAL, operations_per_second
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import duration, load_kernels
from microgpt_cli.training.documents import default_split
from microgpt_cli.training.teachers import SavedTeachers
from microgpt_cli.training.time_limit import TimeLimit

MIN_TRAINING_S = 1.0  # minimum time that a message recommends
N_TIMED = 100_000  # number of characters to encode, to estimate the time for all of them
DIGITS = 4  # significant digits of a budget that is computed from --minutes
_SHAPE = vars(ModelConfig()).keys() - {"vocab_size"}
_TRAINING = vars(TrainConfig()).keys()
FEW_CONVERSATIONS = 100  # if there are fewer, to learn all of them for longer gives better replies
LEARN_ALL = "--steps 2000 --val-fraction 0"  # options for few conversations; see docs/own_text.md


class Fitted(NamedTuple):
    """Settings that suit the documents."""

    tokenizer: Tokenizer
    vocab_size: int | None  # requested size of the BPE vocabulary; None for characters
    choice: Choice
    budget: float | None  # None for Karpathy's settings
    sizes: Sizes  # of the training set
    operations_per_s: float | None = None  # measured for --minutes

    @property
    def n_passes(self) -> float:
        """The number of times that each training document is read."""
        config, length = self.choice.config, self.sizes.chunk_length(self.choice.model.block_size)
        return config.steps * config.batch_size * length / max(1.0, self.sizes.n_tokens)


class Fitting:
    """Fits the settings that are not given to the documents and to a budget of operations."""

    def __init__(
        self,
        parts: Split,
        text: TextKind,
        settings: Mapping[str, Any],
        given: Mapping[str, Any],
        teachers: SavedTeachers | None = None,
    ) -> None:
        """Create a fitting; `settings` has all options of `train`, `given` those of the user."""
        self.parts, self._text, self._teachers = parts, text, teachers
        self._settings, self._given = settings, given
        self._engine: EngineName = settings["engine"]
        self._tokenizers: dict[int | None, Tokenizer] = (
            {None: teachers.tokenizer} if teachers else {}
        )

    def fit(self, limit: TimeLimit | None = None) -> Fitted:
        """Return the settings for the time limit, else for --budget or the default budget.

        Without any limit, Karpathy's names get Karpathy's settings.

        Raises:
            ConfigError: there is not enough time for one step, or no model is small enough.
        """
        if not limit:
            names = ("budget", "max_weights", "max_memory")
            is_limited = any(self._settings[name] for name in names)
            if self.parts.facts.sha256 == NAMES_SHA256 and not is_limited:
                return self._karpathys()
            return self.for_budget(self._settings["budget"] or DEFAULT_BUDGET[self._engine])
        left = limit.seconds_left()
        guess = self.for_budget(TYPICAL[self._engine] * _positive(left, limit))
        limit.reserve_for(guess.choice.model)
        limit.extend(self._load_kernels())
        speed = self._speed(guess)
        left = limit.seconds_left() - self._encoding_s(guess) - self._teaching_s(guess)
        budget = _rounded(speed * _positive(left, limit))
        if self._vocabulary(budget) not in self._tokenizers:  # another one must be learned first
            budget = _rounded(speed * _positive(left - self._learning_s, limit))
        return self.for_budget(budget)._replace(operations_per_s=speed)

    def _karpathys(self) -> Fitted:
        """Return Karpathy's settings, except for those that are given."""
        vocab_size = self._vocabulary(None)
        tokenizer = self._tokenizer(vocab_size)
        model = ModelConfig(**self._fixed(_SHAPE), vocab_size=tokenizer.vocab_size)
        config = TrainConfig(**self._fixed(_TRAINING))
        sizes = measure(self.parts.train, tokenizer, self._text)
        return Fitted(tokenizer, vocab_size, Choice(model, config, 0.0), None, sizes)

    def _fixed(self, names: Set[str]) -> dict[str, Any]:
        return {name: self._given[name] for name in names & self._given.keys()}

    def for_budget(self, budget: float) -> Fitted:
        """Return the settings for a number of operations; see `fit` for the errors."""
        vocab_size = self._vocabulary(budget)
        tokenizer = self._tokenizer(vocab_size)
        choice = choose(
            self.parts,
            tokenizer,
            budget,
            text=self._text,
            fixed=self._fixed(_SHAPE | _TRAINING | {"n_tokens"}),
            max_weights=self._settings["max_weights"],
            max_bytes=self._settings["max_memory"],
        )
        if choice.config.steps == 1 and choice.operations > 1.1 * budget:
            raise ConfigError(
                f"{in_short(budget)} operations are too few: one step takes "
                f"{in_short(choice.operations)}; increase --minutes or --budget"
            )
        sizes = measure(self.parts.train, tokenizer, self._text)
        return Fitted(tokenizer, vocab_size, choice, budget, sizes)

    def _tokenizer(self, vocab_size: int | None) -> Tokenizer:
        if vocab_size not in self._tokenizers:
            started = perf_counter()
            self._tokenizers[vocab_size] = new_tokenizer(self.parts, vocab_size)
            self._learning_s = perf_counter() - started
        return self._tokenizers[vocab_size]

    def _vocabulary(self, budget: float | None) -> int | None:
        """Return the requested size of the BPE vocabulary, or None for characters."""
        if self._teachers:
            return None
        kind = self._given.get("tokenizer")
        if kind:
            return self._given.get("vocab_size", DEFAULT_VOCAB_SIZE) if kind == "bpe" else None
        if budget is None or not can_learn_bpe():
            return None
        return choose_vocabulary(self.parts.train, budget)

    def _load_kernels(self) -> float:
        """Load the kernels; return the seconds that their compilation took."""
        dtype = self._settings["dtype"] or DEFAULT_DTYPE[self._engine]
        uses: list[Use] = ["training", "evaluation", "decoding"]
        uses += ["threads"] if self._settings["threads"] > 1 else []
        seconds = load_kernels(self._engine, dtype, uses=uses)
        return seconds + (self._teachers.load_kernels() if self._teachers else 0.0)

    def _speed(self, fitted: Fitted) -> float:
        model = fitted.choice.model
        return operations_per_second(
            model,
            fitted.choice.config,
            length=fitted.sizes.chunk_length(model.block_size),
            engine=self._engine,
            dtype=self._settings["dtype"] or DEFAULT_DTYPE[self._engine],
            threads=self._settings["threads"],
        )

    def _encoding_s(self, fitted: Fitted) -> float:
        """Estimate the time to encode the training documents that are read."""
        docs = self.parts.train[:: max(1, len(self.parts.train) // 1000)]
        texts = [text[: N_TIMED // len(docs) + 1] for doc in docs for text in texts_of(doc)]
        started = perf_counter()
        for text in texts:
            fitted.tokenizer.encode(text)
        per_character = (perf_counter() - started) / max(1, sum(map(len, texts)))
        n_times = 1.0  # running text is encoded as a whole
        if self._text == "lines":  # else, the tokens of all documents are counted if they are BPE
            n_times = min(1.0, fitted.n_passes) + (fitted.tokenizer.kind == "bpe")
        return per_character * n_times * fitted.sizes.n_characters

    def _teaching_s(self, fitted: Fitted) -> float:
        """Estimate the time in which the teachers prepare the training documents that are read."""
        if not self._teachers:
            return 0.0
        model, config = fitted.choice.model, fitted.choice.config
        dtype = self._settings["dtype"] or DEFAULT_DTYPE[self._engine]
        facts = self.parts.facts
        plan = TrainingPlan(model, config, fitted.tokenizer, self._engine, dtype, facts)
        chunks = self.parts.chunked(fitted.tokenizer, model.block_size, config)
        return self._teachers.estimated_seconds(chunks, plan, self._settings["threads"])


def fitting_for(
    docs: Sequence[Document] | str,
    *,
    minutes: float | None = None,
    budget: float | None,
    max_weights: int | None = None,
    max_memory: int | None = None,
) -> Fitting:
    """Return what chooses the settings of `train` for documents, without other options."""
    settings: dict[str, Any] = {
        "minutes": minutes, "budget": budget, "preset": None, "holdout": None,
        "val_fraction": 0.0, "test_fraction": 0.0, "engine": "compiled", "dtype": None,
        "threads": 1, "max_weights": max_weights, "max_memory": max_memory,
    }  # fmt: skip
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    return Fitting(default_split(docs, settings, {}), text, settings, {})


def new_tokenizer(parts: Split, vocab_size: int | None, *, folds: bool = False) -> Tokenizer:
    """Train a BPE tokenizer on the training split, or return a character tokenizer."""
    if vocab_size is None:
        return (FoldingTokenizer.from_documents if folds else char_tokenizer)(parts.docs)
    return BpeTokenizer.from_documents(parts.train, vocab_size)


def note_subwords(parts: Split, tokenizer: Tokenizer, vocab_size: int) -> None:
    """Print the size of a BPE tokenizer and the length of its tokens."""
    texts = list(chain.from_iterable(map(texts_of, parts.train)))
    n_characters, n_tokens = sum(map(len, texts)), sum(map(tokenizer.count, texts))
    note(
        f"trained a BPE tokenizer on {n_characters} characters: {tokenizer.vocab_size} tokens, "
        f"{n_characters / n_tokens:.2f} characters per token on average"
    )
    if tokenizer.vocab_size < vocab_size:
        note(
            f"the vocabulary has fewer than {vocab_size} tokens, because no other pair of "
            "tokens occurs twice"
        )


def in_short(number: float, digits: int = DIGITS) -> str:
    """Format a large number as it can be typed, such as 8.7e12."""
    return f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e")


def explain(fitted: Fitted) -> tuple[str, ...]:
    """Return two lines, the chosen settings and the reasons; none for Karpathy's settings."""
    if fitted.budget is None:
        return ()
    choice, sizes, speed = fitted.choice, fitted.sizes, fitted.operations_per_s
    model, config, is_stream = choice.model, choice.config, choice.config.text == "stream"
    spent = in_short(fitted.budget)
    limited = f"{in_short(choice.operations, 2)} of {spent}" if choice.is_limited else spent
    subwords = ""
    if fitted.vocab_size is not None:
        length = sizes.n_characters / sizes.n_tokens
        subwords = f"{model.vocab_size:,} subwords of {length:.1f} characters, "
    is_cut = is_stream or sizes.lengths[-1] > model.block_size
    chosen = (
        f"{limited} operations: {_count(model.n_layer, 'layer')} of width {model.n_embd}, "
        f"{subwords}context {model.block_size}, {_count(config.steps, 'step')} of "
        f"{_count(config.batch_size, 'chunk' if is_cut else 'document')}, dropout "
        f"{config.dropout:g} ({count_params(model):,} weights)"
    )
    n, mean = sizes.n_docs, sizes.n_characters / sizes.n_docs
    text = "of running text" if is_stream else f"in {_count(n, 'document')} of {mean:,.0f}"
    n_times = f"{fitted.n_passes:.2g}" if fitted.n_passes < 9.95 else f"{fitted.n_passes:,.0f}"
    why = f"why: {sizes.n_characters:,} characters {text}, read {n_times} times"
    budget = f"{spent} operations"
    if speed:
        budget, training = (duration(each / speed) for each in (fitted.budget, choice.operations))
        seconds = f"about {training}" if choice.is_limited else f"the {budget} that remain"
        why += f" in {seconds} ({in_short(speed, 2)} operations per second)"
    if choice.is_limited:
        why += f"; the data are too small for {budget}, so training ends early"
    return chosen, why


def advice(parts: Split, fitted: Fitted, given: Container[str]) -> tuple[str, ...]:
    """Return a line about the options for few conversations; none if they do not apply."""
    n, is_chat = len(parts.docs), fitted.tokenizer.is_chat
    if not (is_chat and parts.validation and n < FEW_CONVERSATIONS) or "steps" in given:
        return ()
    return (
        f"{_count(n, 'conversation')} are too few to hold some out, so the replies may be poor; "
        f"to learn all of them, use {LEARN_ALL} without --minutes",
    )


def _count(n: int, noun: str) -> str:
    return f"1 {noun}" if n == 1 else f"{n:,} {noun}s"


def _positive(seconds: float, limit: TimeLimit) -> float:
    if seconds <= 0:
        least = (limit.seconds - seconds + MIN_TRAINING_S) / 60
        raise ConfigError(
            f"--minutes {limit.minutes:g} is too short, because the preparation takes "
            f"{limit.seconds - seconds:.2g} s; use at least --minutes {least:.2g}"
        )
    return seconds


def _rounded(budget: float) -> float:
    return float(f"{budget:.{DIGITS}g}")
