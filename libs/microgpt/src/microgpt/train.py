"""Training from documents to a model: the loop around the engine.

It holds the order of the documents and of the random numbers (Karpathy's), the events, and the
reasons to stop. The arithmetic is that of an engine (`engines`). It prints nothing and writes no
files.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.data import fingerprint
from microgpt.engines import DEFAULT_DTYPE, Engine, check_engine, make_engine, shuffled
from microgpt.errors import ConfigError, DataError, MicrogptError, TokenizerError
from microgpt.model import count_params, weight_shapes
from microgpt.state import TrainEvent, TrainResult, TrainState
from microgpt.tokenizer import CharTokenizer, Document

EVENT_INTERVAL_S = 0.05  # often enough for a live display and a prompt stop, and costs nothing


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
    docs: Iterable[Document],
    *,
    model: ModelConfig | None = None,
    config: TrainConfig | None = None,
    tokenizer: CharTokenizer | None = None,
    engine: EngineName = "compiled",
    dtype: DType | None = None,
    threads: int = 1,
    resume: TrainState | None = None,
    on_event: Callable[[TrainEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainResult:
    """Return a model that has learnt from the documents.

    Args:
        docs: texts or conversations, as `data.load_text` and `data.load_conversations` return them.
        model: its shape; by default that of Karpathy's run. Its vocab_size comes from the
            tokenizer.
        config: the course of the training; by default Karpathy's.
        tokenizer: by default one of all characters in the documents.
        engine: "compiled", or "reference": the same on scalars, thousands of times slower.
        dtype: "float32" or "float64"; by default that of the state to resume, or float32 for the
            compiled engine. The reference computes in float64.
        threads: of the compiled engine, which share the documents of a batch; they change nothing
            but the time.
        resume: the state of an earlier training on the same documents with the same settings; the
            number of steps may differ.
        on_event: is called with each run of steps, about every 50 ms.
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
    dtype = dtype or (resume.dtype if resume else DEFAULT_DTYPE[engine])
    docs = _as_list(docs)
    config = config or TrainConfig()
    tokenizer = tokenizer or CharTokenizer.from_documents(docs)
    model = _with_vocabulary(model or ModelConfig(), tokenizer)
    rng = random.Random(config.seed)
    n_read = min(len(docs), config.steps * config.batch_size)
    order = shuffled(len(docs), rng, engine, n_first=n_read)
    tokens = _encode([docs[i] for i in order], tokenizer, model.block_size)
    if resume:
        _check_resume(resume, model, config, engine, dtype)
    training = _Training(
        docs=docs,
        model=model,
        config=config,
        tokenizer=tokenizer,
        dtype=dtype,
        engine=make_engine(
            engine,
            dtype=dtype,
            model=model,
            config=config,
            docs=tokens,
            rng=rng,
            resume=resume,
            threads=threads,
        ),
        rng=rng,
        losses=list(resume.losses) if resume else [],
        started=started,
    )
    losses = training.losses
    for run in training.runs(should_stop or (lambda: False)):
        losses.extend(run)
        if math.isnan(run[-1]):
            raise training.diverged(f"at step {len(losses)}", resume)
        if on_event:
            on_event(TrainEvent(step=len(losses), steps=config.steps, losses=tuple(run)))
    if math.isnan(training.engine.backward()):
        raise training.diverged(f"after step {len(losses)}", resume)
    return training.result()


@dataclass(frozen=True)
class _Training:
    """One call of `train`: what it works on, and how far it has come."""

    docs: list[Document]
    model: ModelConfig
    config: TrainConfig
    tokenizer: CharTokenizer
    dtype: DType
    engine: Engine
    rng: random.Random
    losses: list[float]  # nats a token, of each step
    started: float

    def runs(self, should_stop: Callable[[], bool]) -> Iterator[list[float]]:
        """Train, and yield the losses of 50 ms of steps at a time, up to one that is nan."""
        engine, steps = self.engine, self.config.steps
        run: list[float] = []
        due = perf_counter() + EVENT_INTERVAL_S
        while engine.n_steps < steps and not should_stop():
            run += engine.run(steps)
            if run and (perf_counter() >= due or math.isnan(run[-1])):
                yield run
                if math.isnan(run[-1]):
                    return
                run = []
                due = perf_counter() + EVENT_INTERVAL_S
        if run:
            yield run

    def result(self) -> TrainResult:
        """Return the training up to here."""
        engine = self.engine
        state = TrainState(
            step=engine.n_steps,
            weights=engine.weights(),
            adam_m=tuple(engine.adam_m),
            adam_v=tuple(engine.adam_v),
            losses=tuple(self.losses[: engine.n_steps]),
            dtype=self.dtype,
        )
        return TrainResult(
            model=self.model,
            weights=state.weights,
            tokenizer=self.tokenizer,
            dtype=self.dtype,
            config=self.config,
            state=state,
            rng_state=self.rng.getstate(),
            n_docs=len(self.docs),
            data_sha256=fingerprint(self.docs),
            seconds=perf_counter() - self.started,
        )

    def diverged(self, when: str, resumed: TrainState | None) -> DivergedError:
        """Take the update back that led here, if it was ours, and return the error to raise."""
        if self.engine.n_steps > (resumed.step if resumed else 0):
            self.engine.undo()
        return DivergedError(f"{when} of {self.config.steps}", self.result())


def _as_list(docs: Iterable[Document]) -> list[Document]:
    if isinstance(docs, str):
        raise DataError("docs is one text; pass a list of texts, such as load_text(path) returns")
    docs = list(docs)
    if not docs:
        raise DataError("there are no documents to learn from")
    return docs


def _encode(docs: Sequence[Document], tokenizer: CharTokenizer, block_size: int) -> list[list[int]]:
    """Return the documents as tokens, as far as they are read."""
    try:
        return [tokenizer.encode_document(doc)[: block_size + 1] for doc in docs]
    except TokenizerError:  # name all unknown characters, not those of one document
        tokenizer.encode("".join(CharTokenizer.from_documents(docs).chars))
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
    shapes = {name: (len(rows), len(rows[0])) for name, rows in resume.weights.items()}
    n_params = count_params(model)
    if shapes != weight_shapes(model) or {len(resume.adam_m), len(resume.adam_v)} != {n_params}:
        raise ConfigError("the state to resume is of another model; resume with that one's shape")
    if resume.step > config.steps:
        raise ConfigError(
            f"the state to resume is at step {resume.step}, beyond steps ({config.steps})"
        )
