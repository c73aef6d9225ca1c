"""Choose and explain the settings that neither the user nor a recipe sets, for a budget."""

from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter

from microgpt.amounts import DIGITS, count, duration, in_short
from microgpt.config import DEFAULT_DTYPE, Given, ModelConfig, TrainConfig, Use
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE, BpeTokenizer
from microgpt.data.folding import FoldingTokenizer, char_tokenizer
from microgpt.data.split import Split
from microgpt.data.statistics import measure
from microgpt.data.tokenizer import Tokenizer, all_texts
from microgpt.errors import ConfigError
from microgpt.flat_weights import count_params
from microgpt.settings import with_given
from microgpt.training.choice import DEFAULT_BUDGET, NAMES_SHA256, Choice, choose, choose_vocabulary
from microgpt.training.distillation import Teachers
from microgpt.training.engines import default_engine
from microgpt.training.operations import TYPICAL, evaluation_operations, operations_per_second
from microgpt.training.time_limit import TimeLimit

MIN_TRAINING_S = 1.0  # minimum time that a message recommends
N_TIMED = 100_000  # number of characters to encode, to estimate the time for all of them


@dataclass
class Fitting:
    """Chooses all settings that are not given, to suit the documents and a budget of operations."""

    parts: Split
    given: Given  # settings of the user, a preset or a genome
    tokenizer: Tokenizer | None = None  # by default, that of the teachers, or one is chosen
    teachers: Teachers | None = None
    parent: ModelConfig | None = None  # shape of the model to fine-tune, if any

    def __post_init__(self) -> None:
        self.config = with_given(TrainConfig(), self.given)  # Karpathy's, but for the given ones
        self.engine = self.config.engine or default_engine()
        self.dtype = self.config.dtype or DEFAULT_DTYPE[self.engine]
        self.threads: int = self.given.get("threads", 1)
        if self.teachers:
            self.tokenizer = self.teachers.tokenizer
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
        uses: list[Use] = ["training", "evaluation", "decoding"]
        uses += ["threads"] if self.threads > 1 else []
        limit.extend(limit.load_kernels(self.engine, self.dtype, uses=uses))
        if self.teachers:
            limit.extend(limit.load_kernels(None, *self.teachers.dtypes, uses=self.teachers.uses))
        speed = operations_per_second(
            guess.model,
            guess.config,
            length=guess.sizes.chunk_length(guess.model.block_size),
            engine=self.engine,
            dtype=self.dtype,
            threads=self.threads,
        )
        left = limit.seconds_left() - self.encoding_s(guess)
        left -= self._teaching_operations(guess) / speed
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
        if budget is None or not find_spec("tokenizers"):
            return None
        return choose_vocabulary(self.parts.train, budget)

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

    def _teaching_operations(self, choice: Choice) -> float:
        """Return the operations in which the teachers predict the documents that are read."""
        models = [each.model for each in self.teachers.models] if self.teachers else []
        n_tokens = min(1.0, choice.n_passes) * choice.sizes.n_tokens
        length = choice.sizes.chunk_length(choice.model.block_size)
        return sum(evaluation_operations(model, length, n_tokens) for model in models)


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


def explain_settings(choice: Choice) -> tuple[str, ...]:
    """Return two lines with the chosen settings and the reasons; none for Karpathy's settings."""
    if choice.budget is None:
        return ()
    sizes, model, config, ensemble = choice.sizes, choice.model, choice.config, choice.ensemble
    is_stream, spent = config.text == "stream", in_short(choice.budget)
    is_cut = is_stream or sizes.lengths[-1] > model.block_size
    limited = f"{in_short(choice.operations, 2)} of {spent}" if choice.is_limited else spent
    models = by = subwords = ""
    if ensemble:
        n_steps = f"{ensemble.teacher.steps:,} steps"
        models = f"{ensemble.n_teachers} teachers, {n_steps} each, and a student, each with "
        by = " by each teacher"
    if choice.vocab_size is not None:
        length = sizes.n_characters / sizes.n_tokens
        subwords = f"{model.vocab_size:,} subwords of {length:.1f} characters, "
    dropout = ensemble.teacher.dropout if ensemble else config.dropout
    chosen = (
        f"{limited} operations: {models}{count(model.n_layer, 'layer')} of width {model.n_embd}, "
        f"{subwords}context {model.block_size}, {count(config.steps, 'step')} of "
        f"{count(config.batch_size, 'chunk' if is_cut else 'document')}, dropout "
        f"{dropout:g} ({count_params(model):,} weights)"
    )
    n, mean = sizes.n_docs, sizes.n_characters / sizes.n_docs
    text = "of running text" if is_stream else f"in {count(n, 'document')} of {mean:,.0f}"
    n_times = f"{choice.n_passes:.2g}" if choice.n_passes < 9.95 else f"{choice.n_passes:,.0f}"
    why = f"why: {sizes.n_characters:,} characters {text}, read {n_times} times{by}"
    budget = f"{spent} operations"
    if speed := choice.operations_per_s:
        budget, training = (duration(each / speed) for each in (choice.budget, choice.operations))
        why += f" in about {training} ({in_short(speed, 2)} operations per second)"
    if ensemble and ensemble.n_samples:
        why += f"; the student also reads {ensemble.n_samples:,} documents that they generate"
    if choice.is_limited:
        why += f"; the data are too small for {budget}, so training ends early"
    return chosen, why
