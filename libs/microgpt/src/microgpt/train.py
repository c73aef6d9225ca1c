"""Training from documents to a model: the loop around the engine.

It holds the order of the documents and of the random numbers (Karpathy's), the schedule of the
learning rate, the events, and the reasons to stop. The arithmetic of a step is the engine's
(`reference`). It prints nothing and writes no files.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from time import perf_counter

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data import fingerprint
from microgpt.errors import ConfigError, DataError, MicrogptError
from microgpt.model import count_params, init_weights, weight_shapes
from microgpt.reference import ReferenceEngine
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
        resume: the state of an earlier training on the same documents with the same settings; the
            number of steps may differ.
        on_event: is called with each run of steps, about every 50 ms.
        should_stop: is asked between steps; the result is then that of the steps taken.

    Raises:
        ConfigError: the settings contradict one another.
        DataError: there are no documents.
        TokenizerError: a document has a character that the tokenizer does not know.
        DivergedError: the loss or a gradient became nan or infinite.

    Example:
        >>> from microgpt import TrainConfig
        >>> result = train(["anna", "emma"], config=TrainConfig(steps=10))
        >>> len(result.losses)
        10
    """
    started = perf_counter()
    docs = _as_list(docs)
    config = config or TrainConfig()
    alphabet = CharTokenizer.from_documents(docs)
    tokenizer = tokenizer or alphabet
    tokenizer.encode("".join(alphabet.chars))  # an unknown one is an error now, not in an hour
    model = _with_vocabulary(model or ModelConfig(), tokenizer)
    rng = random.Random(config.seed)
    shuffled = docs.copy()
    rng.shuffle(shuffled)
    engine = _make_engine(model, config, rng, resume)
    losses = list(resume.losses) if resume else []
    n_resumed = len(losses)

    def batch_of(step: int) -> list[list[int]]:
        first = step * config.batch_size
        picked = (shuffled[i % len(shuffled)] for i in range(first, first + config.batch_size))
        return [tokenizer.encode_document(doc) for doc in picked]

    def result() -> TrainResult:
        state = TrainState(
            step=engine.n_steps,
            weights=engine.weights(),
            adam_m=tuple(engine.adam_m),
            adam_v=tuple(engine.adam_v),
            losses=tuple(losses[: engine.n_steps]),
        )
        return TrainResult(
            model=model,
            weights=state.weights,
            tokenizer=tokenizer,
            config=config,
            state=state,
            rng_state=rng.getstate(),
            n_docs=len(docs),
            data_sha256=fingerprint(docs),
            seconds=perf_counter() - started,
        )

    def diverged(when: str) -> DivergedError:
        if engine.n_steps > n_resumed:
            engine.undo()  # the update that led here
        return DivergedError(when, result())

    for run in _runs_of_steps(engine, batch_of, config, should_stop or (lambda: False)):
        losses.extend(run)
        if math.isnan(run[-1]):
            raise diverged(f"at step {len(losses)} of {config.steps}")
        if on_event:
            on_event(TrainEvent(step=len(losses), steps=config.steps, losses=tuple(run)))
    if math.isnan(engine.backward(batch_of(engine.n_steps))):
        raise diverged("after the last step")
    return result()


def _runs_of_steps(
    engine: ReferenceEngine,
    batch_of: Callable[[int], list[list[int]]],
    config: TrainConfig,
    should_stop: Callable[[], bool],
) -> Iterator[list[float]]:
    """Train, and yield the losses of 50 ms of steps at a time, up to one that is nan."""
    run: list[float] = []
    due = perf_counter() + EVENT_INTERVAL_S
    for step in range(engine.n_steps, config.steps):
        if should_stop():
            break
        run.append(engine.step(batch_of(step), lr=config.lr * (1 - step / config.steps)))
        if math.isnan(run[-1]):
            break
        if perf_counter() >= due:
            yield run
            run = []
            due = perf_counter() + EVENT_INTERVAL_S
    if run:
        yield run


def _as_list(docs: Iterable[Document]) -> list[Document]:
    if isinstance(docs, str):
        raise DataError("docs is one text; pass a list of texts, such as load_text(path) returns")
    docs = list(docs)
    if not docs:
        raise DataError("there are no documents to learn from")
    return docs


def _with_vocabulary(model: ModelConfig, tokenizer: CharTokenizer) -> ModelConfig:
    if model.vocab_size not in (0, tokenizer.vocab_size):
        raise ConfigError(
            f"vocab_size ({model.vocab_size}) is not the tokenizer's ({tokenizer.vocab_size}); "
            "leave it out"
        )
    return replace(model, vocab_size=tokenizer.vocab_size)


def _make_engine(
    model: ModelConfig, config: TrainConfig, rng: random.Random, resume: TrainState | None
) -> ReferenceEngine:
    initial = init_weights(model, rng)  # drawn in any case, for what rng gives afterwards
    if not resume:
        return ReferenceEngine(model, config, initial)
    shapes = {name: (len(rows), len(rows[0])) for name, rows in resume.weights.items()}
    n_params = count_params(model)
    if shapes != weight_shapes(model) or {len(resume.adam_m), len(resume.adam_v)} != {n_params}:
        raise ConfigError("the state to resume is of another model; resume with that one's shape")
    if resume.step > config.steps:
        raise ConfigError(
            f"the state to resume is at step {resume.step}, beyond steps ({config.steps})"
        )
    engine = ReferenceEngine(model, config, resume.weights)
    engine.n_steps = resume.step
    engine.adam_m, engine.adam_v = list(resume.adam_m), list(resume.adam_v)
    return engine
