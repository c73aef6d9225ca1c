"""Compilation of kernels, of entry points by us and of other functions by Numba."""

import numba
import numpy as np

from microgpt.engine.compiler import object_code
from microgpt.engine.kernels import matmul


def test_numba_can_compile_callers_of_the_kernels() -> None:
    def product(w, x, y, n_columns):
        matmul.linear(w, x, y, n_columns)

    w, x, y = np.ones((2, 3)), np.ones((3, 8)), np.zeros((2, 8))
    object_code(product, (w, x, y, 8))
    numba.njit("(float64[:, :], float64[:, :], float64[:, :], int64)")(product)(w, x, y, 8)
    np.testing.assert_array_equal(y, np.full((2, 8), 3.0))
