"""The interface of engines, and the choice between the compiled and the reference engine.

Both engines give the same losses, weights and random numbers, up to rounding; the tests and
`microgpt verify` check this. The reference engine trains and generates without NumPy or Numba.
"""

import warnings
from collections.abc import Collection, Iterable, Sequence
from random import Random
from time import perf_counter
from typing import Protocol, cast

from microgpt import reference_engine
from microgpt.config import (
    DEFAULT_DTYPE,
    MAX_THREADS,
    DType,
    EngineName,
    ModelConfig,
    TrainConfig,
    Use,
    checked,
)
from microgpt.data.token_dataset import TokenDataset
from microgpt.edited_sources import edit_missing_in
from microgpt.errors import ConfigError
from microgpt.model import Weights
from microgpt.parameters import Numbers
from microgpt.plugins import EngineWarning, find_plugins, plugin
from microgpt.reference_engine import ReferenceBatch, ReferenceModel, ReferenceTraining
from microgpt.resource_limits import check_memory

TRAINING_ONLY: tuple[Use, ...] = ("training",)
# The reference classes are the interface: other engines provide classes with the same methods.
EngineTraining = ReferenceTraining
EngineModel = ReferenceModel
EngineBatch = ReferenceBatch


class EngineModule(Protocol):
    """An engine: `microgpt.reference_engine`, or a plug-in of the group `engines`."""

    def prepare(self, dtypes: Iterable[DType], uses: Collection[Use]) -> bool:
        """Load the kernels for `uses`; return whether any was compiled (see `plugins.report`)."""

    def n_bytes(self, model: ModelConfig, longest: int) -> int:
        """Estimate the bytes that a thread needs if no document has more than `longest` tokens."""

    def make_training(
        self, model: ModelConfig, config: TrainConfig, docs: TokenDataset, rng: Random, threads: int
    ) -> EngineTraining:
        """Return a model to train, with the weights that `init_variant` draws from rng.

        The documents have 2 to block_size + 1 tokens. They are used in the given order, cyclically.
        """

    def make_model(
        self, config: ModelConfig, weights: Weights[float] | Numbers, dtype: DType
    ) -> EngineModel:
        """Return the engine's copy of a trained model."""

    def shuffled(self, n: int, rng: Random, n_first: int) -> Sequence[int]:
        """Shuffle range(n) like `rng.shuffle` and return the first n_first numbers."""


def engine_module(name: str) -> EngineModule:
    """Return an engine; raise ConfigError if it cannot be used, as `problem_of` explains."""
    if problem := problem_of(name):
        why, remedy = problem
        raise ConfigError(
            f"{why}; use the reference engine (--engine reference; "
            f'engine="reference" in Python), or {remedy}'
        )
    return reference_engine if name == "reference" else cast(EngineModule, plugin("engines", name))


def default_engine() -> EngineName:
    """Return "compiled", or warn and return "reference" if the compiled engine cannot be used."""
    if problem := problem_of("compiled"):
        why, remedy = problem
        line = f"{why}; using the reference engine, which is slow; to avoid this, {remedy}"
        warnings.warn(line, EngineWarning, stacklevel=1)  # one location, so Python shows it once
        return "reference"
    return "compiled"


def problem_of(name: str) -> tuple[str, str] | None:
    """Return why an engine cannot be used, and a remedy; None if it can be used."""
    if name == "reference":
        return None
    if name not in find_plugins("engines"):
        return "the compiled engine is not installed", "install microgpt-engine"
    why = edit_missing_in(f"the {name} engine")
    return (why, "undo the edit, or make it in the kernels and replace the hash") if why else None


def check_engine(engine: str, dtype: str | None, threads: int = 1) -> None:
    """Raise ConfigError unless the engine exists and supports the dtype and number of threads."""
    checked("engine", engine, EngineName)
    checked("dtype", dtype, DType | None)
    if (engine, dtype) == ("reference", "float32"):
        raise ConfigError(
            "the reference engine supports only float64, not float32; use float64, or the compiled "
            "engine"
        )
    checked("threads", threads, int, maximum=MAX_THREADS)
    if engine == "reference" and threads > 1:
        raise ConfigError("the reference engine supports only one thread; omit threads")
    engine_module(engine)


def prepare_engine(
    engine: EngineName | None, *dtypes: DType, uses: Collection[Use] = TRAINING_ONLY
) -> float:
    """Load the kernels of an engine (None: the default engine); compile those that are not cached.

    Return the duration in seconds if anything was compiled, else 0; see `plugins.on_compiling`.
    """
    engine = engine or default_engine()
    module, started = engine_module(engine), perf_counter()
    has_compiled = module.prepare(dtypes or (DEFAULT_DTYPE[engine],), uses)
    return perf_counter() - started if has_compiled else 0.0


def make_training(
    model: ModelConfig, config: TrainConfig, docs: TokenDataset, rng: Random, threads: int
) -> EngineTraining:
    """Return a model to train with an engine; raise ConfigError if the free RAM is too small."""
    assert config.engine
    module = engine_module(config.engine)
    check_memory(module.n_bytes(model, docs.longest - 1), "training this model")
    return module.make_training(model, config, docs, rng, threads)


def reading_order(n: int, config: TrainConfig, rng: Random, engine: EngineName) -> Sequence[int]:
    """Return the indices of those of n documents that training uses, in the order of use."""
    n_read = min(n, config.steps * config.batch_size)
    return engine_module(engine).shuffled(n, rng, n_read) if config.shuffle else range(n_read)
