"""Training from documents to a model: the loop around the engine.

It holds the order of the documents and of the random numbers (Karpathy's), the held-out losses,
the events, and the reasons to stop. The arithmetic is that of an engine (`engines`). It prints
nothing and writes no files.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.corpus import Corpus
from microgpt.course import Course
from microgpt.data import Split, split
from microgpt.engines import (
    DEFAULT_DTYPE,
    Engine,
    check_engine,
    make_engine,
    make_surprise,
    shuffled,
)
from microgpt.errors import ConfigError, DataError, MicrogptError, TokenizerError
from microgpt.evaluation import AT_ONCE, Pieces
from microgpt.flat_weights import Numbers, by_name
from microgpt.model import count_params
from microgpt.state import Best, Ending, TrainedModel, TrainEvent, TrainResult, TrainState
from microgpt.tokenizer import CharTokenizer, Document
from microgpt.transfer import check_shape, extended_tokenizer, inherited

EVENT_INTERVAL_S = 0.05  # often enough for a live display and a prompt stop, and costs nothing
STATE_INTERVAL_S, STATE_SHARE = 5.0, 1 / 20  # between two states; longer where keeping one is slow


class DivergedError(MicrogptError):
    """The loss or a gradient became nan or infinite.

    Attributes:
        result: the training up to the last weights where both were finite.
    """

    def __init__(self, when: str, result: TrainResult) -> None:
        super().__init__(
            f"the loss or its gradient became nan or infinite {when}; "
            f"try a learning rate well below {result.config.lr:g}"
        )
        self.result = result


def train(
    docs: Iterable[Document] | Split,
    *,
    model: ModelConfig | None = None,
    config: TrainConfig | None = None,
    tokenizer: CharTokenizer | None = None,
    engine: EngineName = "compiled",
    dtype: DType | None = None,
    threads: int = 1,
    parent: TrainedModel | None = None,
    resume: TrainState | None = None,
    on_event: Callable[[TrainEvent], None] | None = None,
    on_state: Callable[[TrainState], None] | None = None,
    state_every: int | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainResult:
    """Return a model that has learnt from the documents.

    Args:
        docs: texts or conversations, as `data.load_text` and `data.load_conversations` return them;
            or what `data.split` makes of them. Then the held-out loss is measured 20 times on the
            validation part, and the best weights are the result; and once, of those, on the test
            part.
        model: its shape; by default the parent's, or that of Karpathy's run. Its vocab_size comes
            from the tokenizer.
        config: the course of the training; by default Karpathy's.
        tokenizer: by default one of all characters in the documents, and of the parent.
        engine: "compiled", or "reference": the same on scalars, thousands of times slower.
        dtype: "float32" or "float64"; by default that of the state to resume or of the parent, or
            float32 for the compiled engine. The reference computes in float64.
        threads: of the compiled engine, which share the documents of a batch; they change nothing
            but the time.
        parent: a model whose weights to begin with. Tokens that it does not know begin with
            weights that are drawn.
        resume: the state of an earlier training on the same documents with the same settings. The
            number of steps may differ: what remains then has the learning rates of a training that
            had so many from the beginning.
        on_event: is called with each run of steps, about every 50 ms.
        on_state: is called with a state to go on from, at the beginning and then about every 5 s.
        state_every: every so many steps instead.
        should_stop: is asked about every 20 ms; the result is then that of the steps taken.

    The first use of the compiled engine compiles it, which takes some seconds;
    `engines.prepare_engine` does so beforehand, and says so.

    Raises:
        ConfigError: the settings contradict one another, or there is not enough memory.
        DataError: there are no documents.
        TokenizerError: a document that is read has a character that the tokenizer does not know.
        DivergedError: the loss or a gradient became nan or infinite.

    Example:
        >>> from microgpt import TrainConfig
        >>> result = train(["anna", "emma"], config=TrainConfig(steps=10))
        >>> len(result.losses)
        10
    """
    started = perf_counter()
    check_engine(engine, dtype, threads)
    dtype = dtype or _default_dtype(engine, resume, parent)
    parts = docs if isinstance(docs, Split) else split(_as_list(docs))
    config = config or TrainConfig()
    if not tokenizer:
        tokenizer = (
            extended_tokenizer(parent, parts.docs)
            if parent
            else CharTokenizer.from_documents(parts.docs)
        )
    model = model or (replace(parent.model, vocab_size=0) if parent else ModelConfig())
    model = _with_vocabulary(model, tokenizer)
    if parent:
        check_shape(parent, model)
    if resume:
        _check_resume(resume, model, config, engine, dtype)
    rng = random.Random(config.seed)
    n_read = min(len(parts.train), config.steps * config.batch_size)
    order = shuffled(len(parts.train), rng, engine, n_first=n_read)
    corpus = _encode(parts.train, order, tokenizer, model.block_size)
    made = make_engine(
        engine,
        dtype=dtype,
        model=model,
        config=config,
        docs=corpus,
        rng=rng,
        resume=resume,
        threads=threads,
    )
    if parent and not resume:
        made.set_weights(inherited(parent, model, tokenizer, made.numbers()[0].tolist()))
    training = _Training(
        parts=parts,
        model=model,
        config=config,
        tokenizer=tokenizer,
        engine_name=engine,
        dtype=dtype,
        threads=threads,
        engine=made,
        corpus=corpus,
        rng=rng,
        resume=resume,
        parent=parent,
        started=started,
        on_event=on_event or (lambda event: None),
        on_state=on_state or (lambda state: None),
        state_every=state_every,
        should_stop=should_stop or (lambda: False),
    )
    return training.run()


@dataclass
class _Training:
    """One call of `train`: what it works on, and how far it has come."""

    parts: Split
    model: ModelConfig
    config: TrainConfig
    tokenizer: CharTokenizer
    engine_name: EngineName
    dtype: DType
    threads: int
    engine: Engine
    corpus: Corpus
    rng: random.Random
    resume: TrainState | None
    parent: TrainedModel | None
    started: float
    on_event: Callable[[TrainEvent], None]
    on_state: Callable[[TrainState], None]
    state_every: int | None
    should_stop: Callable[[], bool]
    losses: list[float] = field(default_factory=list)  # of this call
    untold: list[float] = field(default_factory=list)  # those that no event has had yet

    def __post_init__(self) -> None:
        self.first_step = self.resume.step if self.resume else 0
        self.course = Course(self.config, self.resume)
        self.best = self.resume.best if self.resume else None
        self.validation = self._pieces(self.parts.validation)
        self.event_due = perf_counter() + EVENT_INTERVAL_S
        self.kept_at = self.resume.step if self.resume else -1  # the step of the last state
        self.state_due = perf_counter() + STATE_INTERVAL_S if self.resume else 0.0

    def run(self) -> TrainResult:
        """Train until there is a reason to end."""
        while not (ending := self._go_on()):
            pass
        if math.isnan(self.engine.backward()):
            raise self._diverged(f"after step {self.engine.n_steps}")
        test_loss = None
        if ending != "stopped":
            self.course.mark()
            test = self._pieces(self.parts.test)
            weights = self.best.weights if self.best else self.engine.numbers()[0]
            test_loss = self._loss(test, weights) if test else None
            ending = "stopped" if test and test_loss is None else ending
        self._tell()
        return self._result(ending, test_loss)

    def _go_on(self) -> Ending | None:
        """Measure, keep and train, each where it is due; return why to end, if so."""
        step = self.engine.n_steps
        if self._is_measuring_due() and not self._measure():
            return "stopped"
        if ending := self._state_ending():
            return ending
        if self._is_state_due():
            self._keep()
        if self.should_stop():
            return "stopped"
        run = self.engine.run(self._next_pause())
        if run and math.isnan(run[-1]):
            self._take(run[:-1])
            raise self._diverged(f"at step {step + len(run)}")
        self._take(run)
        if self.untold and perf_counter() >= self.event_due:
            self._tell()
        return None

    def _take(self, losses: Sequence[float]) -> None:
        self.losses.extend(losses)
        self.untold.extend(losses)
        self.course.add(losses)

    def _state_ending(self) -> Ending | None:
        """Return why the training is over, if so; see `TrainState.ending`."""
        if self.engine.n_steps >= self.config.steps:
            return "steps"
        patience = self.config.patience
        return "patience" if patience and self.best and self.best.n_worse >= patience else None

    def _next_pause(self) -> int:
        """Return the step to train to at most: where something else is to be done."""
        step, pauses = self.engine.n_steps, [self.config.steps]
        if self.validation:
            pauses.append(_next_multiple(step, self.config.steps_between_evaluations))
        if self.state_every:
            pauses.append(_next_multiple(step, self.state_every))
        return min(pauses)

    def _is_measuring_due(self) -> bool:
        step = self.engine.n_steps
        is_time = step % self.config.steps_between_evaluations == 0 or step >= self.config.steps
        is_new = not self.best or self.best.measured_at < step
        return bool(self.validation and step and is_time and is_new)

    def _measure(self) -> bool:
        """Measure the held-out loss, and remember the best weights; false if it was stopped."""
        assert self.validation
        step, weights = self.engine.n_steps, self.engine.numbers()[0]
        loss = self._loss(self.validation, weights)
        if loss is None:
            return False
        if not math.isfinite(loss):
            raise self._diverged(f"after step {step}")
        best = self.best
        if best and loss >= best.val_loss:
            self.best = replace(best, measured_at=step, n_worse=best.n_worse + 1)
        else:
            self.best = Best(step, loss, weights, measured_at=step, n_worse=0)
        self.course.mark(loss)
        self._tell(loss)
        return True

    def _loss(self, pieces: Pieces, weights: Numbers) -> float | None:
        surprise = make_surprise(
            self.engine_name, self.dtype, self.model, weights, threads=self.threads
        )
        evaluation = pieces.evaluate(surprise, self.should_stop)
        return evaluation.loss if evaluation else None

    def _pieces(self, docs: Sequence[Document]) -> Pieces | None:
        """Return documents as they are scored, a portion for some tenths of a second."""
        if not docs:
            return None
        encoded = map(self.tokenizer.encode_document, docs)
        at_once = AT_ONCE if self.engine_name == "compiled" else 1
        return Pieces(encoded, self.model.block_size, at_once=at_once)

    def _tell(self, val_loss: float | None = None) -> None:
        """Call on_event with what nobody has been told yet."""
        if self.untold or val_loss is not None:
            step, n = self.engine.n_steps, len(self.untold)
            event = TrainEvent(
                step=step,
                steps=self.config.steps,
                losses=tuple(self.untold),
                n_docs=n * self.config.batch_size,
                n_tokens=self._tokens_until(step) - self._tokens_until(step - n),
                val_loss=val_loss,
            )
            self.untold.clear()
            self.on_event(event)
        self.event_due = perf_counter() + EVENT_INTERVAL_S

    def _tokens_until(self, step: int) -> int:
        """Return how many tokens the steps up to this one predict."""
        corpus, n_read = self.corpus, step * self.config.batch_size
        rounds, rest = divmod(n_read, len(corpus))
        return rounds * len(corpus.tokens) + corpus.starts[rest] - n_read

    def _is_state_due(self) -> bool:
        step = self.engine.n_steps
        if step == self.kept_at:
            return False
        if self.state_every:
            return step % self.state_every == 0
        return perf_counter() >= self.state_due

    def _keep(self) -> None:
        started = perf_counter()
        self.on_state(self._state())
        now = perf_counter()
        self.kept_at = self.engine.n_steps
        self.state_due = now + max(STATE_INTERVAL_S, (now - started) / STATE_SHARE)

    def _state(self) -> TrainState:
        weights, adam_m, adam_v = self.engine.numbers()
        before = self.resume.seconds if self.resume else 0.0
        return TrainState(
            step=self.engine.n_steps,
            weights=weights,
            adam_m=adam_m,
            adam_v=adam_v,
            dtype=self.dtype,
            engine=self.engine_name,
            best=self.best,
            recent_losses=tuple(self.course.recent),
            history=tuple(self.course.history),
            since_history=self.course.since_history,
            seconds=before + perf_counter() - self.started,
        )

    def _result(self, ending: Ending, test_loss: float | None = None) -> TrainResult:
        """Return the training up to here."""
        state = self._state()
        weights = state.best.weights if state.best else state.weights
        return TrainResult(
            model=self.model,
            weights=by_name(self.model, weights.tolist()),
            tokenizer=self.tokenizer,
            dtype=self.dtype,
            config=self.config,
            losses=self.losses,
            state=state,
            ending=ending,
            rng_state=self.rng.getstate(),
            data=self.parts.facts,
            test_loss=test_loss,
        )

    def _diverged(self, when: str) -> DivergedError:
        """Take the update back that led here, if it was ours, and return the error to raise."""
        if self.engine.n_steps > self.first_step:
            self.engine.undo()
            del self.losses[self.engine.n_steps - self.first_step :]
            self.course = Course(self.config, self.resume)
            self.course.add(self.losses)
        return DivergedError(f"{when} of {self.config.steps}", self._result("stopped"))


def _default_dtype(
    engine: EngineName, resume: TrainState | None, parent: TrainedModel | None
) -> DType:
    if resume:
        return resume.dtype
    return parent.dtype if parent and engine == "compiled" else DEFAULT_DTYPE[engine]


def _as_list(docs: Iterable[Document]) -> list[Document]:
    if isinstance(docs, str):
        raise DataError("docs is one text; pass a list of texts, such as load_text(path) returns")
    docs = list(docs)
    if not docs:
        raise DataError("there are no documents to learn from")
    return docs


def _encode(
    docs: Sequence[Document], order: Sequence[int], tokenizer: CharTokenizer, block_size: int
) -> Corpus:
    """Return the documents as tokens, in their order and as far as they are read."""
    try:
        return Corpus(tokenizer.encode_document(docs[i])[: block_size + 1] for i in order)
    except TokenizerError:  # name all unknown characters, not those of one document
        tokenizer.encode("".join(CharTokenizer.from_documents(docs[i] for i in order).chars))
        raise


def _with_vocabulary(model: ModelConfig, tokenizer: CharTokenizer) -> ModelConfig:
    if model.vocab_size not in (0, tokenizer.vocab_size):
        raise ConfigError(
            f"vocab_size ({model.vocab_size}) is not the tokenizer's ({tokenizer.vocab_size}); "
            "leave it out"
        )
    return replace(model, vocab_size=tokenizer.vocab_size)


def _check_resume(
    resume: TrainState, model: ModelConfig, config: TrainConfig, engine: EngineName, dtype: DType
) -> None:
    check_engine(engine, resume.dtype)
    if resume.dtype != dtype:
        raise ConfigError(f"the state to resume was computed in {resume.dtype}, not in {dtype}")
    sizes = {len(numbers) for numbers in (resume.weights, resume.adam_m, resume.adam_v)}
    if sizes != {count_params(model)}:
        raise ConfigError("the state to resume is of another model; resume with that one's shape")
    if resume.step > config.steps:
        raise ConfigError(
            f"the state to resume is at step {resume.step}, beyond steps ({config.steps})"
        )


def _next_multiple(step: int, n: int) -> int:
    return (step // n + 1) * n
