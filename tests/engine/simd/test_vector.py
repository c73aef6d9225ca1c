"""Compare vector operations with NumPy and the math library."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_engine.simd import lanes_of
from microgpt_engine.simd import vector as simd

DTYPES = ["float32", "float64"]


@numba.njit
def _exp(x, y):
    simd.store(y, 0, 0, simd.exp(simd.load(x, 0, 0)))


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 999))
def test_exp_below_0_is_accurate_to_two_units_in_the_last_place(dtype: str, seed: int) -> None:
    """Only numbers up to 0 are tested, because softmax uses no others."""
    lanes = lanes_of(dtype)
    smallest = -86.0 if dtype == "float32" else -700.0
    x = np.random.default_rng(seed).uniform(smallest, 0, (1, lanes)).astype(dtype)
    y = np.empty_like(x)
    _exp(x, y)
    exact = [math.exp(value) for value in x[0].tolist()]
    error = np.abs(y[0].astype(np.float64) - exact) / np.spacing(np.array(exact, dtype))
    assert error.max() <= 2


@numba.njit
def _compare(a, b, y):
    u, v, zero = simd.load(a, 0, 0), simd.load(b, 0, 0), simd.splat(a, 0)
    simd.store(y, 0, 0, simd.larger(u, v))
    simd.store(y, 1, 0, simd.where_positive(u, u, zero))


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_returns_nan_for_nan_and_max_ignores_nan(dtype: str) -> None:
    """NaN must not be taken for the largest logit; relu must pass it on, so that it is detected."""
    lanes = lanes_of(dtype)
    a, b = np.full((1, lanes), np.nan, dtype), np.ones((1, lanes), dtype)
    y = np.empty((2, lanes), dtype)
    _compare(a, b, y)
    np.testing.assert_array_equal(y, [[1.0] * lanes, [np.nan] * lanes])
