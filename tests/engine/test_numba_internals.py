"""Tests that the engine works even if a later Numba lacks an undocumented name."""

import inspect
import os
import sys
from typing import Any

import numba
import numba.core.codegen
import numba.core.registry
import numpy as np
import pytest
from commands import ok, run_process

from microgpt.plugins import on_compiling
from microgpt_engine.kernel_cache import EntryPoint

CODEGEN = type(numba.core.registry.cpu_target.target_context.codegen())
DISPATCHER = type(numba.njit(lambda: None))
OURS = ("microgpt_engine.numba_internals", "unittest.mock")


def triple(x):  # compiled by Numba
    for i in range(x.size):
        x[i] *= 3


class Hidden:
    """A descriptor that hides an attribute from the engine, but not from Numba."""

    def __init__(self, owner: type, name: str) -> None:
        self.name, self.original = name, inspect.getattr_static(owner, name, None)

    def __get__(self, instance: Any, owner: type) -> Any:
        if sys._getframe(1).f_globals["__name__"] in OURS:
            raise AttributeError(self.name)
        if self.name in vars(instance):
            return vars(instance)[self.name]
        bind = getattr(self.original, "__get__", None)
        return bind(instance, owner) if bind else self.original

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[self.name] = value


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (numba.core.codegen, "JITCodeLibrary"),
        (numba.core.registry, "cpu_target"),
        (CODEGEN, "_library_class"),
        (CODEGEN, "_module_pass_manager"),
        (CODEGEN, "_tm"),
        (CODEGEN, "set_env"),
        (DISPATCHER, "get_call_template"),
        (DISPATCHER, "overloads"),
    ],
)
def test_numbas_own_cache_is_used_if_an_undocumented_name_is_missing(
    tmp_path, monkeypatch, owner, name
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    if inspect.ismodule(owner):
        monkeypatch.delattr(owner, name)
    else:
        monkeypatch.setattr(owner, name, Hidden(owner, name), raising=False)
    told: list[str] = []
    for _ in range(2):  # the first run compiles, the second one loads
        x = np.array([1.0, 2.0])
        with on_compiling(told.append):
            EntryPoint(f"{__name__}:triple")(x)
        assert x.tolist() == [3, 6]
    _, line = told
    assert numba.__version__ in line
    assert name in line
    assert list(tmp_path.glob("numba-*/*/*.nbi"))


TRAIN = """
from microgpt import ModelConfig, TrainConfig, train
shape = ModelConfig(n_embd=4, n_head=2, n_layer=1, block_size=4)
weights = train(["ab", "ba"], model=shape, config=TrainConfig(steps=5)).weights
"""
# Without garbage collection, compilation is a tenth faster.
DOCUMENTED = """
import gc, numba
gc.disable()
njit = numba.njit
def documented(*args, **options):
    if "_nrt" in options:
        raise KeyError("_nrt")
    return njit(*args, **options)
numba.njit = documented
"""


@pytest.mark.slow
@pytest.mark.long
def test_training_without_undocumented_numba_options_gives_the_same_weights(tmp_path) -> None:
    """The weights equal those of machine code that is compiled with these options."""
    command = [sys.executable, "-c", f"{DOCUMENTED}{TRAIN}print(weights)"]
    # Less optimization shortens compilation by a fifth, and does not change the results.
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_OPT": "1"}
    done = ok(run_process(command, env=env, timeout=900))
    assert [*tmp_path.glob("numba-*")]
    exec(TRAIN, own := {})
    assert done.stdout == f"{own['weights']}\n"
