"""Load kernels before they are needed. On first use, all kernels of a dtype are compiled together.

    python -m microgpt_engine.preparation float32 training

compiles the kernels for one or more uses; `prepare` and `wasm` run this command. A kernel is loaded
by calling it with the arrays of the smallest model. See docs/engine.md#compilation.
"""

import gc
import random
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any, NoReturn, cast

from microgpt import (
    DecodeRules,
    DType,
    ModelConfig,
    TrainConfig,
    Use,
    init_weights,
    on_compiling,
    report,
)
from microgpt_engine import kernel_cache, random_numbers
from microgpt_engine.compiled_model import CompiledModel

# Each group of uses is compiled in its own process; INFERENCE and TRAINING take about equally long.
INFERENCE: tuple[Use, ...] = ("evaluation", "decoding", "generation")
TRAINING: tuple[Use, ...] = ("training",)
THREADS: tuple[Use, ...] = ("threads",)
_SMALLEST = ModelConfig(n_embd=1, n_head=1, block_size=1, vocab_size=1)


class _NotCompiledError(Exception):
    """A kernel is not in the cache, or its file cannot be used."""


def prepare(dtypes: Iterable[DType], uses: Collection[Use]) -> bool:
    """Load the kernels for each dtype and use; return whether any had to be compiled."""
    kinds = list(product(dtypes, uses))
    try:
        with on_compiling(_stop):
            _load(kinds)
    except _NotCompiledError as error:
        report(str(error))
        report(kernel_cache.COMPILING)
        if kernel_cache.can_be_kept():
            shares = [TRAINING, INFERENCE, *([THREADS] if "threads" in uses else [])]
            compile_together({dtype for dtype, _ in kinds}, shares, stderr=subprocess.DEVNULL)
        _load(kinds)
        return True
    return False


def _stop(line: str) -> NoReturn:
    raise _NotCompiledError(line)


def compile_together(
    dtypes: Iterable[DType], shares: Iterable[Collection[Use]], **options: Any
) -> bool:
    """Compile kernels in one process per dtype and group of uses, such as TRAINING.

    Return whether all processes succeeded. `options` are passed on to `subprocess.Popen`.
    """
    module = [sys.executable, "-m", __name__]
    processes: list[subprocess.Popen[Any]] = []
    try:
        for dtype, uses in product(dtypes, shares):
            command, none = [*module, dtype, *uses], subprocess.DEVNULL
            processes.append(subprocess.Popen(command, stdin=none, stdout=none, **options))
        codes = [process.wait() for process in processes]
        return not any(codes)
    except OSError:  # a process cannot start, for example because too many are running
        return False
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _load(kinds: Iterable[tuple[DType, Use]]) -> None:
    """Load the kernels for each dtype and use, by calling them with the smallest model."""
    for dtype, use in kinds:
        calls = _training_calls if use in ("training", "threads") else _inference_calls
        for call in calls(dtype, use):
            with suppress(kernel_cache.CompiledForWasmError):
                call()


def _training_calls(dtype: DType, use: Use) -> Iterator[Callable[[], object]]:
    from microgpt_engine import threaded_trainer as threads
    from microgpt_engine.trainer import CompiledTraining

    engine = CompiledTraining(_SMALLEST, TrainConfig(), [[0, 0]], dtype=dtype)
    state, scratch, rng = engine.workspace.state, engine.workspace.scratch, random.Random(0)
    grads, progress, settings = state.grads, engine.workspace.progress, engine.settings
    if use == "training":
        yield lambda: random_numbers.shuffled(2, rng, 2)
        yield lambda: random_numbers.gauss(1, 1.0, rng)
        yield engine.backward
    else:
        yield lambda: threads.add(grads, grads, 1)
        yield lambda: threads.add_and_clear(grads, grads)
        yield lambda: threads.publish_and_clear(grads, grads)
        yield lambda: threads.find_directions(state, settings[0], 0, 1, scratch)
        yield lambda: threads.update(state, 0.0, *settings, grads, progress)


def _inference_calls(dtype: DType, use: Use) -> Iterator[Callable[[], object]]:
    model = CompiledModel(_SMALLEST, init_weights(_SMALLEST, random.Random(0)), dtype)
    rules, n = DecodeRules(max_tokens=1), random_numbers.FEW + 1
    if use == "evaluation":
        yield lambda: model.nll([[0, 0]])
    elif use == "decoding":  # one sequence at a time, as in chat
        yield lambda: list(model.decode([0], rules, random.Random(0)))
    else:  # many sequences in one batch
        yield lambda: list(model.decode_many([[0]] * n, range(n), rules))


if __name__ == "__main__":
    gc.disable()  # garbage collection would take a tenth of the compilation time
    chosen, *wanted = sys.argv[1:]
    _load((cast(DType, chosen), cast(Use, use)) for use in wanted)
