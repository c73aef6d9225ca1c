"""Vectors against NumPy and the math library."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from microgpt_engine.processor import lanes_of
from microgpt_engine.simd import lanes as across
from microgpt_engine.simd import vector as simd
from microgpt_engine.weights import aligned_zeros

DTYPES = ["float32", "float64"]


@numba.njit
def _exp(x, y):
    simd.store(y, 0, 0, simd.exp(simd.load(x, 0, 0)))


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 999))
def test_exp_is_accurate_to_two_units_in_the_last_place(dtype: str, seed: int) -> None:
    """Of the numbers up to 0 that softmax needs."""
    lanes = lanes_of(dtype)
    smallest = -86.0 if dtype == "float32" else -700.0
    x = np.random.default_rng(seed).uniform(smallest, 0, (1, lanes)).astype(dtype)
    y = np.empty_like(x)
    _exp(x, y)
    exact = [math.exp(value) for value in x[0].tolist()]
    error = np.abs(y[0].astype(np.float64) - exact) / np.spacing(np.array(exact, dtype))
    assert error.max() <= 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x", "expected"), [(0.0, 1.0), (-np.inf, 0.0), (-1e4, 0.0), (np.nan, np.nan)]
)
def test_exp_is_correct_at_the_limits_of_its_range(dtype: str, x: float, expected: float) -> None:
    lanes = lanes_of(dtype)
    y = np.empty((1, lanes), dtype)
    _exp(np.full((1, lanes), x, dtype), y)
    np.testing.assert_array_equal(y, np.full((1, lanes), expected, dtype))


@numba.njit
def _each(a, b, y):
    u, v, zero = simd.load(a, 0, 0), simd.load(b, 0, 0), simd.splat(a, 0)
    simd.store(y, 0, 0, u + v)
    simd.store(y, 1, 0, u - v)
    simd.store(y, 2, 0, 2.0 * u * v)
    simd.store(y, 3, 0, u / (v * v + 1.0))
    simd.store(y, 4, 0, simd.larger(u, v))
    simd.store(y, 5, 0, simd.where_positive(u, v, zero))
    simd.store(y, 6, 0, across.from_lane(2, u, v))
    simd.store(y, 7, 0, simd.square_root(u * u))
    simd.stream(y, 8, 0, u)
    simd.fence()


@numba.njit
def _compare(a, b, y):
    u, v, zero = simd.load(a, 0, 0), simd.load(b, 0, 0), simd.splat(a, 0)
    simd.store(y, 0, 0, simd.larger(u, v))
    simd.store(y, 1, 0, simd.where_positive(u, u, zero))


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_passes_nan_on_and_max_ignores_it(dtype: str) -> None:
    """A nan among logits must not become their largest; in relu it must go on, to be found."""
    lanes = lanes_of(dtype)
    a, b = np.full((1, lanes), np.nan, dtype), np.ones((1, lanes), dtype)
    y = np.empty((2, lanes), dtype)
    _compare(a, b, y)
    np.testing.assert_array_equal(y, [[1.0] * lanes, [np.nan] * lanes])


NUMBERS = st.floats(-100, 100, width=32)


@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_vector_operations_equal_numpy_in_every_lane(data, dtype: str) -> None:
    lanes = lanes_of(dtype)
    a, b = (data.draw(arrays(dtype, (1, lanes), elements=NUMBERS)) for _ in "ab")
    y = aligned_zeros((9, lanes), dtype)
    _each(a, b, y)
    u, v = a[0].astype(np.float64), b[0].astype(np.float64)
    lane = np.arange(lanes)
    expected = [
        u + v,
        u - v,
        2 * u * v,
        u / (v * v + 1),
        np.maximum(u, v),
        np.where(u > 0, v, 0),
        np.where(lane >= 2, u, v),
        np.abs(u),
        u,
    ]
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(y, expected, rtol=8 * eps, atol=1e-12)


@numba.njit
def _across(a, b, y, numbers):
    u, v = simd.load(a, 0, 0), simd.load(b, 0, 0)
    simd.store(y, 0, 0, across.running_sums(u))
    numbers[0] = across.total(u)
    numbers[1] = across.largest_lane(u)
    numbers[2] = across.last_lane(u)
    numbers[3] = across.count_at_most(u, v)


@given(data=st.data(), dtype=st.sampled_from(DTYPES))
def test_operations_across_lanes_are_correct(data, dtype: str) -> None:
    lanes = lanes_of(dtype)
    a, b = (data.draw(arrays(dtype, (1, lanes), elements=NUMBERS)) for _ in "ab")
    y, numbers = np.empty((1, lanes), dtype), np.empty(4)
    _across(a, b, y, numbers)
    u, v = a[0].astype(np.float64), b[0].astype(np.float64)
    limit = 100 * lanes * 8 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(y[0], np.cumsum(u), rtol=0, atol=limit)
    assert numbers[0] == pytest.approx(u.sum(), abs=limit)
    assert numbers[1:].tolist() == [u.max(), u[-1], (u <= v).sum()]
