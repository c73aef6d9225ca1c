"""Which share of a core's peak does the engine's matrix product reach?

99 % on a Zen 5
(docs/measurements/speed.md).

    uv run python bench/study.py peak

Measures the peak with a loop of multiply-adds on vectors in registers. For the layer sizes of a
chat model, prints the GFLOP/s of the product and its share of the peak. Also prints the read
bandwidth for data as large as the weights and KV cache of that model, which limits decoding.
"""

from argparse import Namespace

import numba
import numpy as np
from harness import pin, timed
from machine import machine

from microgpt.engine.kernels import matmul
from microgpt.engine.processor import lanes_of
from microgpt.engine.simd import vector as simd
from microgpt.engine.weights import aligned_zeros, padded

N, ROUNDS = 256, 5
SHAPES = {"attn_wqkv": (384, 128), "attn_wo": (128, 128), "mlp_fc1": (512, 128)}
N_SUMS = 8  # independent sums; enough to hide the latency of multiply-add
READ = (64, 14_336)  # 3.7 MB in float32


@numba.njit
def multiply_add(x, n):
    a = simd.load(x, 0, 0)
    s0, s1, s2, s3, s4, s5, s6, s7 = a, a, a, a, a, a, a, a
    for _ in range(n):
        s0, s1, s2, s3 = s0 * a + a, s1 * a + a, s2 * a + a, s3 * a + a
        s4, s5, s6, s7 = s4 * a + a, s5 * a + a, s6 * a + a, s7 * a + a
    simd.store(x, 1, 0, s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7)


@numba.njit
def products(w, x, y, n):
    for _ in range(n):
        matmul.linear(w, x, y, x.shape[1])


@numba.njit
def read(x, n):
    zero = simd.splat(x, 0)
    s0, s1, s2, s3 = zero, zero, zero, zero
    for _ in range(n):
        for i in range(x.shape[0]):
            for j in range(0, x.shape[1], 4 * simd.lanes(x)):
                s0 = s0 + simd.load(x, i, j)
                s1 = s1 + simd.load(x, i, j + simd.lanes(x))
                s2 = s2 + simd.load(x, i, j + 2 * simd.lanes(x))
                s3 = s3 + simd.load(x, i, j + 3 * simd.lanes(x))
    simd.store(x, 0, 0, s0 + s1 + s2 + s3)


def measure(options: Namespace) -> None:
    """Measure the peak, the matrix products and the read bandwidth."""
    pin()
    lanes, n = lanes_of("float32"), 20_000_000
    x = aligned_zeros((2, lanes), "float32")
    peak = 2 * N_SUMS * lanes * n / fastest(multiply_add, x, n) / 1e9
    print(f"{machine()}, float32: {peak:.1f} GFLOP/s")
    for name, (m, k) in SHAPES.items():
        columns = (padded(N, "float32") // lanes | 1) * lanes
        w, x, y = (aligned_zeros(s, "float32") for s in ((m, k), (k, columns), (m, columns)))
        w[:], x[:], x, y = np.pi, 0.5, x[:, :N], y[:, :N]
        speed = 100 * 2 * m * k * N / fastest(products, w, x, y, 100) / 1e9
        print(f"{name:10} {m} x {k}: {speed:.1f} GFLOP/s, {speed / peak:.0%} of the peak")
    x = aligned_zeros(READ, "float32")
    x[:] = 1  # before the first write, all pages map to the same zero page
    speed = 100 * x.nbytes / fastest(read, x, 100) / 1e9
    print(f"reading {x.nbytes / 1e6:.1f} MB repeatedly: {speed:.1f} GB/s")


def fastest(run, *args) -> float:
    """Return the seconds of the fastest round, after a warm-up call."""
    run(*args[:-1], 1)
    return min(timed(lambda: run(*args)) for _ in range(ROUNDS))
