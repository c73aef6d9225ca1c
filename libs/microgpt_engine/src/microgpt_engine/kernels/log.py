"""Natural logarithm with the same bits on every computer, unlike that of C libraries.

Layout: no arrays, only a number. See docs/engine.md#the-same-numbers.
"""

import numpy as np

from microgpt_engine.compiler import inlined

# ln 2 = LN2_HIGH + LN2_LOW; k * LN2_HIGH is exact for any exponent k, as LN2_HIGH has few bits.
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# (log(1 + f) - 2 s) / s for s = f / (2 + f), as a polynomial in s**2 with a relative error below
# 2**-58 (Ng 1993, fdlibm's e_log.c). It is close to the series 2/3 s**2 + 2/5 s**4 + ...
C1, C2, C3 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01
C4, C5, C6 = 2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01
C7 = 1.479819860511658591e-01
ROOT_HALF = 0x3FE6A09E00000000  # the bits of a number just below sqrt(1/2)
MANTISSA_BITS = 52


@inlined
def log(x: float) -> float:
    """Return the logarithm in float64 of a normal x > 0, infinity or NaN, with an error < 1 ulp.

    With x = 2**k (1 + f) and sqrt(1/2) <= 1 + f < sqrt(2), log x = k ln 2 + log(1 + f). The terms
    are added from the smallest to the largest, without fused operations.
    """
    number = np.float64(x)
    if not number < np.inf:
        return number
    bits = number.view(np.int64) - ROOT_HALF
    k = np.float64(bits >> MANTISSA_BITS)
    mantissa = bits & ((1 << MANTISSA_BITS) - 1)
    f = np.int64(mantissa + ROOT_HALF).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (C2 + w * (C4 + w * C6))
    series = even + z * (C1 + w * (C3 + w * (C5 + w * C7)))
    half_square = 0.5 * f * f
    return s * (half_square + series) + k * LN2_LOW - half_square + f + k * LN2_HIGH
