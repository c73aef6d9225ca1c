"""Compare the logarithm of the kernels with NumPy's and with decimal logarithms of 40 digits."""

from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest

from microgpt_engine.kernels import cross_entropy as kernels

RANGES = [(0.5, 1.0), (1.0, 2.0), (1.0, 1e4), (1e-300, 1e300)]


@numba.njit
def _logs(x, y):
    for i in range(x.size):
        y[i] = kernels.log(x[i])


def logs(x: np.ndarray) -> np.ndarray:
    y = np.empty(x.size)
    _logs(x, y)
    return y


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_log_is_accurate_to_one_unit_in_the_last_place(low: float, high: float) -> None:
    x = np.exp(np.random.default_rng(3).uniform(np.log(low), np.log(high), 2000))
    found = logs(x)
    with localcontext(prec=40):
        exact = [Decimal(value).ln() for value in x.tolist()]
        pairs = zip(found.tolist(), exact, np.spacing(np.abs(found)).tolist(), strict=True)
        errors = [abs(Decimal(y) - log) / Decimal(ulp) for y, log, ulp in pairs]
    assert max(errors) < 1
    np.testing.assert_allclose(found, np.log(x), rtol=4e-16)


def test_log_agrees_with_numpy_for_extreme_and_nonfinite_inputs() -> None:
    smallest, largest = np.finfo(np.float64).tiny, np.finfo(np.float64).max
    x = np.array([1.0, smallest, largest, np.inf, np.nan])
    np.testing.assert_allclose(logs(x), np.log(x), rtol=2e-16)
    assert logs(x)[0] == 0
