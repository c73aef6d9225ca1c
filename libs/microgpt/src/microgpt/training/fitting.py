"""Choose and explain the settings that neither the user nor a recipe sets, for a budget."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter

from microgpt.amounts import DIGITS, count, duration, in_short
from microgpt.config import DEFAULT_DTYPE, DType, EngineName, Given, ModelConfig, TrainConfig, Use
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE, BpeTokenizer, can_learn_bpe
from microgpt.data.folding import FoldingTokenizer, char_tokenizer
from microgpt.data.split import Split
from microgpt.data.statistics import measure
from microgpt.data.tokenizer import Tokenizer, all_texts
from microgpt.errors import ConfigError
from microgpt.flat_weights import count_params
from microgpt.settings import with_given
from microgpt.state import Ensemble, TrainingPlan
from microgpt.training.choice import (
    DEFAULT_BUDGET,
    NAMES_SHA256,
    Choice,
    choose,
    choose_vocabulary,
)
from microgpt.training.distillation import Teachers
from microgpt.training.engines import default_engine
from microgpt.training.operations import TYPICAL, operations_per_second
from microgpt.training.time_limit import TimeLimit

MIN_TRAINING_S = 1.0  # minimum time that a message recommends
N_TIMED = 100_000  # number of characters to encode, to estimate the time for all of them


@dataclass
class Fitting:
    """Chooses all settings that are not given, to suit the documents and a budget of operations."""

    parts: Split
    config: TrainConfig  # Karpathy's training settings, except for those that are given
    given: Given  # settings of the user, a preset or a genome
    tokenizer: Tokenizer | None = None  # by default, that of the teachers, or one is chosen
    teachers: Teachers | None = None
    parent: ModelConfig | None = None  # shape of the model to fine-tune, if any

    def __post_init__(self) -> None:
        given, tokenizer = self.given, self.tokenizer
        self.engine: EngineName = given.get("engine") or default_engine()
        self.dtype: DType = given.get("dtype") or DEFAULT_DTYPE[self.engine]
        self.threads: int = given.get("threads", 1)
        self.tokenizer = self.teachers.tokenizer if self.teachers else tokenizer
        self._tokenizers: dict[int | None, Tokenizer] = {}  # by requested size of the vocabulary
        if self.tokenizer:
            self._tokenizers[None] = self.tokenizer

    def fit(self, limit: TimeLimit | None = None) -> Choice:
        """Return the settings for the time limit, else for --budget or the default budget.

        Without any limit, Karpathy's names, presets and genomes get Karpathy's settings.

        Raises:
            ConfigError: there is not enough time for one step.
        """
        if not limit:
            budget = self.given.get("budget")
            has_recipe = self.given.get("preset") or self.given.get("genome")
            if (has_recipe or self.parts.facts.sha256 == NAMES_SHA256) and not budget:
                return self.for_budget(None)
            return self.for_budget(budget or DEFAULT_BUDGET[self.engine])
        left = limit.seconds_left()
        guess = self.for_budget(TYPICAL[self.engine] * _positive(left, limit))
        limit.reserve_for(guess.model, is_chat=guess.tokenizer.is_chat)
        self._load_kernels(limit)
        model, config = guess.model, guess.config
        speed = operations_per_second(
            model,
            config,
            length=guess.sizes.chunk_length(model.block_size),
            engine=self.engine,
            dtype=self.dtype,
            threads=self.threads,
        )
        left = limit.seconds_left() - self.encoding_s(guess) - self._teaching_s(guess)
        budget = rounded(speed * _positive(left, limit))
        if self._vocabulary(budget) not in self._tokenizers:  # another one must be learned first
            budget = rounded(speed * _positive(left - self._learning_s, limit))
        return self.for_budget(budget)._replace(operations_per_s=speed)

    def for_budget(self, budget: float | None) -> Choice:
        """Return the settings for a number of operations; see `fit` for the errors.

        If budget is None, return Karpathy's settings, overridden by the given options.
        """
        vocab_size, text, given = self._vocabulary(budget), self.config.text, self.given
        tokenizer = self._tokenizer(vocab_size)
        sizes = measure(self.parts.train, tokenizer, text)
        if budget is None:
            model = with_given(ModelConfig(), {**given, "vocab_size": tokenizer.vocab_size})
            return Choice(model, self.config, tokenizer, sizes, vocab_size=vocab_size)
        choice = choose(self.parts, tokenizer, budget, text=text, given=given, parent=self.parent)
        if choice.config.steps == 1 and choice.operations > 1.1 * budget:
            raise ConfigError(
                f"{in_short(budget)} operations are too few: one step takes "
                f"{in_short(choice.operations)}; increase --minutes or --budget"
            )
        return choice._replace(vocab_size=vocab_size)

    def _tokenizer(self, vocab_size: int | None) -> Tokenizer:
        """Return a BPE tokenizer learned from the training split, or a character tokenizer."""
        if vocab_size not in self._tokenizers:
            started = perf_counter()
            if vocab_size is not None:
                learned: Tokenizer = BpeTokenizer.from_documents(self.parts.train, vocab_size)
            elif self.given.get("fold"):
                learned = FoldingTokenizer.from_documents(self.parts.docs)
            else:
                learned = char_tokenizer(self.parts.docs)
            self._tokenizers[vocab_size], self._learning_s = learned, perf_counter() - started
        return self._tokenizers[vocab_size]

    def _vocabulary(self, budget: float | None) -> int | None:
        """Return the requested size of the BPE vocabulary, or None for characters."""
        given = self.given
        if self.tokenizer:
            return None
        if "tokenizer" in given:
            size: int = given.get("vocab_size", DEFAULT_VOCAB_SIZE)
            return size if given["tokenizer"] == "bpe" else None
        if budget is None or not can_learn_bpe():
            return None
        return choose_vocabulary(self.parts.train, budget)

    def _load_kernels(self, limit: TimeLimit) -> None:
        """Load the kernels; their compilation does not count towards the limit."""
        uses: list[Use] = ["training", "evaluation", "decoding"]
        uses += ["threads"] if self.threads > 1 else []
        limit.extend(limit.load_kernels(self.engine, self.dtype, uses=uses))
        if self.teachers:
            limit.extend(limit.load_kernels(None, *self.teachers.dtypes, uses=self.teachers.uses))

    def encoding_s(self, choice: Choice) -> float:
        """Estimate the time to encode the training documents that are read."""
        docs = self.parts.train[:: max(1, len(self.parts.train) // 1000)]
        texts = [text[: N_TIMED // len(docs) + 1] for text in all_texts(docs)]
        started = perf_counter()
        for text in texts:
            choice.tokenizer.encode(text)
        per_character = (perf_counter() - started) / max(1, sum(map(len, texts)))
        n_times = 1.0  # running text is encoded as a whole
        if self.config.text == "lines":  # the tokens of all documents are counted if they are BPE
            n_times = min(1.0, choice.n_passes) + (choice.tokenizer.kind == "bpe")
        return per_character * n_times * choice.sizes.n_characters

    def _teaching_s(self, choice: Choice) -> float:
        """Estimate the time in which the teachers process the training documents that are read."""
        if not self.teachers:
            return 0.0
        model, config = choice.model, choice.config
        tokenizer, facts = choice.tokenizer, self.parts.facts
        config = replace(config, engine=self.engine, dtype=self.dtype)
        plan = TrainingPlan(model, config, tokenizer, facts)
        chunks = self.parts.chunked(choice.tokenizer, model.block_size, config)
        return self.teachers.estimated_seconds(chunks, plan, self.threads)


def _positive(seconds: float, limit: TimeLimit) -> float:
    if seconds <= 0:
        least = (limit.seconds - seconds + MIN_TRAINING_S) / 60
        raise ConfigError(
            f"--minutes {limit.minutes:g} is too short, because the preparation takes "
            f"{limit.seconds - seconds:.2g} s; use at least --minutes {least:.2g}"
        )
    return seconds


def rounded(budget: float) -> float:
    """Return a budget with as many digits as are printed."""
    return float(f"{budget:.{DIGITS}g}")


def describe_subwords(parts: Split, tokenizer: Tokenizer, vocab_size: int) -> Iterator[str]:
    """Yield the size of a BPE tokenizer and the length of its tokens."""
    texts = all_texts(parts.train)
    n_characters, n_tokens = sum(map(len, texts)), sum(map(tokenizer.count, texts))
    yield (
        f"trained a BPE tokenizer on {n_characters} characters: {tokenizer.vocab_size} tokens, "
        f"{n_characters / n_tokens:.2f} characters per token on average"
    )
    if tokenizer.vocab_size < vocab_size:
        yield (
            f"the vocabulary has fewer than {vocab_size} tokens, because no other pair of "
            "tokens occurs twice"
        )


def explain_settings(choice: Choice) -> tuple[str, ...]:
    """Return two lines with the chosen settings and the reasons; none for Karpathy's settings."""
    if choice.budget is None:
        return (_describe_preset(choice.ensemble),) if choice.ensemble else ()
    sizes, speed = choice.sizes, choice.operations_per_s
    model, config, is_stream = choice.model, choice.config, choice.config.text == "stream"
    spent = in_short(choice.budget)
    limited = f"{in_short(choice.operations, 2)} of {spent}" if choice.is_limited else spent
    subwords = ""
    if choice.vocab_size is not None:
        length = sizes.n_characters / sizes.n_tokens
        subwords = f"{model.vocab_size:,} subwords of {length:.1f} characters, "
    is_cut = is_stream or sizes.lengths[-1] > model.block_size
    models, dropout = "", config.dropout
    if ensemble := choice.ensemble:
        n_steps = f"{ensemble.teacher.steps:,} steps"
        models = f"{ensemble.n_teachers} teachers, {n_steps} each, and a student, each with "
        dropout = ensemble.teacher.dropout
    chosen = (
        f"{limited} operations: {models}{count(model.n_layer, 'layer')} of width {model.n_embd}, "
        f"{subwords}context {model.block_size}, {count(config.steps, 'step')} of "
        f"{count(config.batch_size, 'chunk' if is_cut else 'document')}, dropout "
        f"{dropout:g} ({count_params(model):,} weights)"
    )
    n, mean = sizes.n_docs, sizes.n_characters / sizes.n_docs
    text = "of running text" if is_stream else f"in {count(n, 'document')} of {mean:,.0f}"
    n_times = f"{choice.n_passes:.2g}" if choice.n_passes < 9.95 else f"{choice.n_passes:,.0f}"
    by = " by each teacher" if ensemble else ""
    why = f"why: {sizes.n_characters:,} characters {text}, read {n_times} times{by}"
    budget = f"{spent} operations"
    if speed:
        budget, training = (duration(each / speed) for each in (choice.budget, choice.operations))
        is_short = choice.is_limited or choice.has_steps
        seconds = f"about {training}" if is_short else f"the {budget} that remain"
        why += f" in {seconds} ({in_short(speed, 2)} operations per second)"
    if ensemble and ensemble.n_samples:
        why += f"; the student also reads {ensemble.n_samples:,} documents that they generate"
    if choice.is_limited:
        why += f"; the data are too small for {budget}, so training ends early"
    return chosen, why


def _describe_preset(ensemble: Ensemble) -> str:
    n_steps = [f"{config.steps:,} steps" for config in (ensemble.teacher, ensemble.student)]
    return (
        f"{ensemble.n_teachers} teachers, {n_steps[0]} each, and a student of their mean "
        f"predictions, {n_steps[1]}, with {ensemble.n_samples:,} documents that they generate"
    )
