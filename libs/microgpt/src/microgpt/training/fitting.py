"""Choose the settings that neither the user nor a recipe gives, for a budget of operations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NamedTuple

from microgpt.amounts import DIGITS, in_short
from microgpt.config import DEFAULT_DTYPE, TrainConfig, Use
from microgpt.data.bpe import BpeTokenizer, can_learn_bpe
from microgpt.data.folding import FoldingTokenizer, char_tokenizer
from microgpt.data.sizes import Sizes, measure
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, Tokenizer, texts_of
from microgpt.errors import ConfigError
from microgpt.state import TrainingPlan
from microgpt.training.choice import DEFAULT_BUDGET, NAMES_SHA256, Choice, choose, choose_vocabulary
from microgpt.training.distillation import Teachers
from microgpt.training.engines import prepare_engine
from microgpt.training.holding_out import hold_out
from microgpt.training.options import TrainOptions
from microgpt.training.presets import PRESETS
from microgpt.training.speed import TYPICAL, operations_per_second
from microgpt.training.time_limit import TimeLimit

MIN_TRAINING_S = 1.0  # minimum time that a message recommends
N_TIMED = 100_000  # number of characters to encode, to estimate the time for all of them
LoadKernels = Callable[..., float]  # see `prepare_engine`


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


@dataclass
class Fitting:
    """Fits the settings that are not given to the documents and to a budget of operations."""

    parts: Split
    config: TrainConfig  # Karpathy's training settings, except for those that are given
    options: TrainOptions  # those that are given, by the user, a preset or a genome
    tokenizer: Tokenizer | None = None  # by default, that of the teachers, or one is chosen
    teachers: Teachers | None = None
    load_kernels: LoadKernels = prepare_engine

    def __post_init__(self) -> None:
        options, tokenizer = self.options, self.tokenizer
        self.engine, self.dtype = options.engine, options.dtype or DEFAULT_DTYPE[options.engine]
        self.tokenizer = self.teachers.tokenizer if self.teachers else tokenizer
        self._tokenizers: dict[int | None, Tokenizer] = {}  # by requested size of the vocabulary
        if self.tokenizer:
            self._tokenizers[None] = self.tokenizer

    @classmethod
    def of(
        cls,
        docs: Sequence[Document] | str,
        options: TrainOptions,
        *,
        load_kernels: LoadKernels = prepare_engine,
        tell: Callable[[str], None] = lambda line: None,
    ) -> "Fitting":
        """Return a fitting for documents, some of which are held out."""
        config = TrainConfig(text="stream" if isinstance(docs, str) else "lines")
        return cls(hold_out(docs, options, tell), config, options, load_kernels=load_kernels)

    def fit(self, limit: TimeLimit | None = None) -> Fitted:
        """Return the settings for the time limit, else for --budget or the default budget.

        Without any limit, Karpathy's names, presets and genomes get Karpathy's settings.

        Raises:
            ConfigError: there is not enough time for one step, or no model is small enough.
        """
        if not limit:
            options = self.options
            is_limited = any((options.budget, options.max_weights, options.max_memory))
            has_recipe = options.preset or options.genome
            if (has_recipe or self.parts.facts.sha256 == NAMES_SHA256) and not is_limited:
                return self._karpathys()
            return self.for_budget(options.budget or DEFAULT_BUDGET[self.engine])
        left = limit.seconds_left()
        guess = self.for_budget(TYPICAL[self.engine] * _positive(left, limit))
        limit.reserve_for(guess.choice.model, is_chat=guess.tokenizer.is_chat)
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
        model = replace(self.options.shape(), vocab_size=tokenizer.vocab_size)
        sizes = measure(self.parts.train, tokenizer, self.config.text)
        return Fitted(tokenizer, vocab_size, Choice(model, self.config, 0.0), None, sizes)

    def for_budget(self, budget: float) -> Fitted:
        """Return the settings for a number of operations; see `fit` for the errors."""
        vocab_size = self._vocabulary(budget)
        tokenizer = self._tokenizer(vocab_size)
        text = self.config.text
        choice = choose(self.parts, tokenizer, budget, text=text, fixed=self.options)
        if choice.config.steps == 1 and choice.operations > 1.1 * budget:
            raise ConfigError(
                f"{in_short(budget)} operations are too few: one step takes "
                f"{in_short(choice.operations)}; increase --minutes or --budget"
            )
        sizes = measure(self.parts.train, tokenizer, text)
        if "steps" in self.options:
            budget = float(f"{choice.operations:.2g}")
        return Fitted(tokenizer, vocab_size, choice, budget, sizes)

    def _tokenizer(self, vocab_size: int | None) -> Tokenizer:
        if vocab_size not in self._tokenizers:
            started = perf_counter()
            self._tokenizers[vocab_size] = self._new_tokenizer(vocab_size)
            self._learning_s = perf_counter() - started
        return self._tokenizers[vocab_size]

    def _new_tokenizer(self, vocab_size: int | None) -> Tokenizer:
        """Train a BPE tokenizer on the training split, or return a character tokenizer."""
        if vocab_size is not None:
            return BpeTokenizer.from_documents(self.parts.train, vocab_size)
        if self.options.preset and PRESETS[self.options.preset].fold:
            return FoldingTokenizer.from_documents(self.parts.docs)
        return char_tokenizer(self.parts.docs)

    def _vocabulary(self, budget: float | None) -> int | None:
        """Return the requested size of the BPE vocabulary, or None for characters."""
        options = self.options
        if self.tokenizer:
            return None
        if "tokenizer" in options:
            return options.vocab_size if options.tokenizer == "bpe" else None
        if budget is None or not can_learn_bpe():
            return None
        return choose_vocabulary(self.parts.train, budget)

    def _load_kernels(self) -> float:
        """Load the kernels; return the seconds that their compilation took."""
        uses: list[Use] = ["training", "evaluation", "decoding"]
        uses += ["threads"] if self.options.threads > 1 else []
        seconds = self.load_kernels(self.engine, self.dtype, uses=uses)
        if self.teachers:
            seconds += self.load_kernels("compiled", *self.teachers.dtypes, uses=self.teachers.uses)
        return seconds

    def _speed(self, fitted: Fitted) -> float:
        model = fitted.choice.model
        return operations_per_second(
            model,
            fitted.choice.config,
            length=fitted.sizes.chunk_length(model.block_size),
            engine=self.engine,
            dtype=self.dtype,
            threads=self.options.threads,
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
        if self.config.text == "lines":  # the tokens of all documents are counted if they are BPE
            n_times = min(1.0, fitted.n_passes) + (fitted.tokenizer.kind == "bpe")
        return per_character * n_times * fitted.sizes.n_characters

    def _teaching_s(self, fitted: Fitted) -> float:
        """Estimate the time in which the teachers prepare the training documents that are read."""
        if not self.teachers:
            return 0.0
        model, config = fitted.choice.model, fitted.choice.config
        tokenizer, facts = fitted.tokenizer, self.parts.facts
        plan = TrainingPlan(model, config, tokenizer, self.engine, self.dtype, facts)
        chunks = self.parts.chunked(fitted.tokenizer, model.block_size, config)
        return self.teachers.estimated_seconds(chunks, plan, self.options.threads)


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
