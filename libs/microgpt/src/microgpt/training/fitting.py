"""Choose the settings that neither the user nor a recipe gives, to suit a budget.

A small text is soon memorised, so one model cannot use a large budget. Several models make
different errors, so a student that learns their mean predictions is better than any of them
(Hinton, Vinyals & Dean 2015). docs/measurements/choice.md has the measurements.
"""

from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

from microgpt.config import DEFAULT_DTYPE, Given, ModelConfig, TrainConfig, Use
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE, BpeTokenizer
from microgpt.data.folding import FoldingTokenizer, char_tokenizer
from microgpt.data.split import Split
from microgpt.data.statistics import measure
from microgpt.data.tokenizer import Tokenizer
from microgpt.errors import ConfigError
from microgpt.formatting import DIGITS, in_short
from microgpt.learning_rate import default_lr
from microgpt.settings import Settings, with_given
from microgpt.training import operations
from microgpt.training.choice import (
    DEFAULT_BUDGET,
    NAMES_SHA256,
    WARMUP,
    Choice,
    choose,
    choose_vocabulary,
    config_for_operations,
    useful_operations,
)
from microgpt.training.engines import default_engine, prepare_engine
from microgpt.training.time_limit import TimeLimit
from microgpt.training_state import Ensemble

# Settings of an ensemble. U stands for `useful_operations`, the most that a single model can use.
MIN_BUDGET = 2.0  # minimum budget in multiples of U; with less, a single model is as good
STUDENT_SHARE = 0.35  # fraction of the operations for the student; the teachers take the rest
MOST_TEACHERS = 8  # a ninth teacher improves the loss by less than the difference between seeds
MAX_STUDENT = 4.0  # maximum operations of the student, in multiples of U
SAMPLES_PER_TEXT = 6  # maximum number of tokens that the teachers generate per token of the text
MAX_TARGETS = 2**30  # maximum size of the teachers' predictions, in bytes


@dataclass
class Fitting:
    """Chooses all settings that are not given, to suit the documents and a budget of operations."""

    sets: Split
    given: Given  # settings of the user, a preset or a genome
    tokenizer: Tokenizer | None = None  # None: choose one that suits the documents
    parent: ModelConfig | None = None  # shape of the model to fine-tune, if any

    def __post_init__(self) -> None:
        self.config = with_given(TrainConfig(), self.given)  # Karpathy's settings unless given
        self.engine = self.config.engine or default_engine()
        self.dtype = self.config.dtype or DEFAULT_DTYPE[self.engine]
        self.threads: int = self.given.get("threads", 1)
        self._tokenizers: dict[int | None, Tokenizer] = {}  # by requested size of the vocabulary
        if self.tokenizer:
            self._tokenizers[None] = self.tokenizer

    def fit(self, limit: TimeLimit | None = None) -> Choice:
        """Return settings for the time limit; without one, for --budget or the default budget."""
        if not limit:
            budget = self.given.get("budget")
            has_recipe = self.given.get("preset") or self.given.get("genome")
            if (has_recipe or self.sets.facts.sha256 == NAMES_SHA256) and not budget:
                return self.for_budget(None)
            return self.for_budget(budget or DEFAULT_BUDGET[self.engine])
        guess = self.for_budget(_operations(operations.TYPICAL[self.engine], limit))
        limit.reserve_for(guess.model, is_chat=guess.tokenizer.is_chat)
        uses: list[Use] = ["training"] if self.threads == 1 else ["training", "threads"]
        limit.started += prepare_engine(self.engine, self.dtype, uses=uses)
        config = replace(guess.config, engine=self.engine, dtype=self.dtype)
        length = guess.sizes.chunk_length(guess.model.block_size)
        speed = operations.operations_per_second(
            guess.model, config, length=length, threads=self.threads
        )
        # Learn subwords, which takes time, before `_operations` reads the clock again.
        self._tokenizer(self._vocabulary(_operations(speed, limit)))
        return self.for_budget(_operations(speed, limit))._replace(operations_per_s=speed)

    def for_budget(self, budget: float | None) -> Choice:
        """Return the settings for a number of operations, or Karpathy's if the budget is None."""
        vocab_size, text, given = self._vocabulary(budget), self.config.text, self.given
        tokenizer = self._tokenizer(vocab_size)
        sizes = measure(self.sets.train, tokenizer, text)
        if budget is None:
            model = with_given(ModelConfig(), {**given, "vocab_size": tokenizer.vocab_size})
            return Choice(model, self.config, tokenizer, sizes, vocab_size=vocab_size)
        choice = choose(self.sets, tokenizer, budget, text=text, given=given, parent=self.parent)
        if choice.config.steps == 1 and choice.operations > 1.1 * budget:
            raise ConfigError(
                f"{in_short(budget)} operations are too few: one step takes "
                f"{in_short(choice.operations)}; increase --minutes or --budget"
            )
        return choice._replace(vocab_size=vocab_size)

    def _tokenizer(self, vocab_size: int | None) -> Tokenizer:
        """Return a BPE tokenizer learned from the training split, or a character tokenizer."""
        if vocab_size not in self._tokenizers:
            if vocab_size is not None:
                learned: Tokenizer = BpeTokenizer.from_documents(self.sets.train, vocab_size)
            elif self.given.get("fold"):
                learned = FoldingTokenizer.from_documents(self.sets.docs)
            else:
                learned = self.sets.once("characters", partial(char_tokenizer, self.sets.docs))
            self._tokenizers[vocab_size] = learned
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
        return choose_vocabulary(self.sets.train, budget)


def choose_settings(fitting: Fitting, limit: TimeLimit | None = None) -> Choice:
    """Return the settings of one model or of an ensemble; see `Fitting.fit`."""
    given, choice = fitting.given, _with_ensemble(fitting, fitting.fit(limit))
    is_of_search = "evaluations" in given and "steps" not in given
    if given.get("budget") and is_of_search:  # a search excludes evaluations from the budget
        length = choice.sizes.chunk_length(choice.model.block_size)
        config = config_for_operations(choice.config, choice.model, given["budget"], length)
        if "warmup_steps" in given:
            config = replace(config, warmup_steps=given["warmup_steps"])
        return choice._replace(config=config)
    return choice


def _operations(speed: float, limit: TimeLimit) -> float:
    """Return the number of operations for which there is time, rounded as it is printed."""
    left = limit.seconds_left()
    if left <= 0:
        spent = limit.seconds - left
        raise ConfigError(
            f"--minutes {limit.minutes:g} is too short, because the preparation takes "
            f"{spent:.2g} s; use at least --minutes {2 * spent / 60:.2g}"  # half is for training
        )
    return float(f"{speed * left:.{DIGITS}g}")


def _with_ensemble(fitting: Fitting, choice: Choice) -> Choice:
    """Return the settings of an ensemble if one is requested or worthwhile, else `choice`."""
    if not _is_possible(fitting, choice):
        return choice
    given = fitting.given
    n_teachers = given.get("n_teachers", 0)
    if n_teachers and not given.get("budget"):
        teacher = replace(choice.config, lr=choice.config.lr or default_lr(choice.model.n_embd))
        steps = round(given.get("student_length", Settings.student_length) * teacher.steps)
        n_samples = n_generated(choice, steps)
        ensemble = Ensemble(n_teachers, n_samples, replace(teacher, until=None))
        return choice._replace(config=_student(teacher, steps), ensemble=ensemble)
    budget, useful = choice.budget, useful_operations(choice.sizes)
    if budget is None or budget < MIN_BUDGET * useful:
        return choice
    of_teachers = (1 - STUDENT_SHARE) * budget
    n = min(MOST_TEACHERS, max(2, int(of_teachers / useful)))
    found = _for_budget(fitting, choice, n, min(useful, of_teachers / n))
    if found and found.ensemble and n_teachers:
        return found._replace(ensemble=replace(found.ensemble, n_teachers=n_teachers))
    return found or choice


def _is_possible(fitting: Fitting, choice: Choice) -> bool:
    """Return whether the settings and the kind of data allow an ensemble."""
    given = fitting.given
    has_budget = given.get("minutes") or given.get("budget")
    return bool(has_budget or given.get("n_teachers")) and not (
        given.get("single")
        or given.get("genome")
        or fitting.parent
        or choice.tokenizer.is_chat  # teachers cannot generate conversations
        or fitting.engine == "reference"
        or ("steps" in given and not given.get("n_teachers"))
        or n_generated(choice, 1) < 0
    )


def _for_budget(fitting: Fitting, whole: Choice, n: int, of_teacher: float) -> Choice | None:
    """Return the settings of n teachers and a student; None if the budget is too small."""
    one, budget = fitting.for_budget(of_teacher), whole.budget or 0.0
    model, teacher, sizes = one.model, replace(one.config, until=None), one.sizes
    length = sizes.chunk_length(model.block_size)
    per_step = operations.step_operations(model, teacher, length)
    of_teachers = n * one.operations
    evaluations = one.operations - teacher.steps * per_step
    left = min(budget - of_teachers, MAX_STUDENT * useful_operations(sizes)) - evaluations
    n_samples = n_generated(one, int(left / per_step))
    made_up = max(0, n_samples) * length
    predictions = operations.evaluation_operations(
        model, length, n * (sizes.n_tokens + made_up) + made_up
    )
    steps = int((left - predictions) / per_step)
    if n_samples < 0 or steps < teacher.steps / n:
        return None
    student = replace(_student(teacher, steps), until=one.config.until)
    spent = of_teachers + predictions + steps * per_step + evaluations
    is_limited = n == MOST_TEACHERS and spent < 0.9 * budget
    return one._replace(
        config=student,
        operations=spent,
        is_limited=is_limited,
        budget=whole.budget,
        operations_per_s=whole.operations_per_s,
        ensemble=Ensemble(n, n_samples, teacher),
    )


def _student(teacher: TrainConfig, steps: int) -> TrainConfig:
    """Return the settings of a student; its soft targets are the only regularization."""
    return replace(
        teacher,
        steps=steps,
        warmup_steps=steps // WARMUP,
        dropout=0.0,
        weight_decay=0.0,
        patience=None,  # patience would end training before the student beats its best teacher
    )


def n_generated(choice: Choice, steps: int, max_targets: int = MAX_TARGETS) -> int:
    """Return how many documents the teachers generate, at most as many as are used in training.

    The result is -1 if the predictions for the text alone would exceed max_targets bytes.
    """
    config, sizes = choice.config, choice.sizes
    length = sizes.chunk_length(choice.model.block_size)
    n_tokens = max_targets / (4 * choice.tokenizer.vocab_size) - sizes.n_tokens
    if n_tokens < 0:
        return -1
    n_tokens = min(n_tokens, SAMPLES_PER_TEXT * sizes.n_tokens)
    return min(steps * config.batch_size, int(n_tokens / length))
