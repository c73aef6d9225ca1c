"""Products and transposes of every remainder of rows and columns, against NumPy."""

import functools

import numba
import numpy as np
import pytest

from microgpt_engine.kernels import matmul
from microgpt_engine.processor import lanes_of
from microgpt_engine.weights import aligned_zeros, in_panels, padded

DTYPES = ["float32", "float64"]


@functools.cache
def linear_and_add_linear(dtype: str):
    """Compile both once for a dtype, for arrays of any layout, as the engine does."""
    matrix = f"{dtype}[:, :]"

    @numba.njit(f"({matrix}, {matrix}, {matrix}, int64)")
    def both(w, x, y, n_columns):
        matmul.linear(w, x, y, n_columns)
        matmul.add_linear(w, x, y, n_columns)

    return both


@numba.njit
def _linear_rows(x, n_rows, panels, y):
    matmul.linear_rows(x, n_rows, panels, y)


@numba.njit
def _transpose(x, x_t, n_rows, n_columns):
    matmul.transpose(x, x_t, n_rows, n_columns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", range(1, 18))
def test_a_matrix_product_is_correct_for_any_shape(dtype: str, m: int) -> None:
    rng, n = np.random.default_rng(m), 7
    for n_columns in (1, lanes_of(dtype), lanes_of(dtype) + 1, 3 * lanes_of(dtype)):
        width = padded(n_columns, dtype)
        w = aligned_zeros((m, 9), dtype)[:, :n]
        x, y = aligned_zeros((n, width), dtype), aligned_zeros((m + 1, width), dtype)
        w[:], x[:] = rng.normal(size=w.shape), rng.normal(size=x.shape)
        linear_and_add_linear(dtype)(w, x, y, n_columns)
        expected = 2 * w.astype(np.float64) @ x
        np.testing.assert_allclose(y[:m], expected, rtol=1e-5, atol=1e-5)
        assert not y[m:].any()  # nothing is written below


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 8, 40, 130])
def test_a_product_with_panels_is_correct_for_any_shape(dtype: str, m: int) -> None:
    rng, n = np.random.default_rng(m), 7  # not divisible by the number of partial sums
    w, x = rng.normal(size=(m, n)).astype(dtype), rng.normal(size=(6, n)).astype(dtype)
    for n_rows in (1, 2, 6):
        y = aligned_zeros((6, padded(m, dtype)), dtype)
        _linear_rows(x, n_rows, in_panels(w[None], dtype)[0], y)
        np.testing.assert_allclose(y[:n_rows, :m], x[:n_rows] @ w.T, rtol=1e-5, atol=1e-5)
        assert not y[n_rows:].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_transposed_matrix_equals_that_of_numpy(dtype: str) -> None:
    side = lanes_of(dtype)
    x = np.arange(6 * side * side, dtype=dtype).reshape(2 * side, 3 * side)
    x_t = np.zeros((3 * side, 2 * side), dtype)
    _transpose(x, x_t, side + 1, 2 * side + 1)
    np.testing.assert_array_equal(x_t, x.T)
