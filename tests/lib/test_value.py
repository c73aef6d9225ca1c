import gc
import math
import operator
import weakref

import pytest
from finite_differences import worst_difference
from hypothesis import assume, given
from hypothesis import strategies as st

from microgpt.value import Value, dot, exp, log, relu, total

ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.truediv)
OPERATIONS = [  # expressions of numbers a and b, and a constant c
    *(lambda a, b, c, of=of: of(a, b) for of in ARITHMETIC),
    *(lambda a, b, c, of=of: of(a, c) for of in ARITHMETIC),
    *(lambda a, b, c, of=of: of(c, a) for of in ARITHMETIC),
    lambda a, b, c: a**c,
    lambda a, b, c: -a,
    lambda a, b, c: exp(a),
    lambda a, b, c: log(a),
    lambda a, b, c: relu(a),
    lambda a, b, c: dot([a, b, a], [b, b, a]),
    lambda a, b, c: total([a, b, a]),
]
POSITIVE = st.floats(0.3, 2)


@given(POSITIVE, POSITIVE, st.lists(st.tuples(st.sampled_from(OPERATIONS), POSITIVE), max_size=6))
def test_gradients_of_expressions_agree_with_finite_differences(a, b, operations) -> None:
    def expression(a, b):
        numbers = [a, b]
        for operation, c in operations:
            numbers.append(operation(numbers[-1], numbers[-2], c))
        return numbers

    try:
        numbers = expression(a, b)
    except (ValueError, ArithmeticError, TypeError):  # e.g. the logarithm of a negative number
        assume(False)
    # Very small or large values give steep functions, for which finite differences are inaccurate.
    assume(all(isinstance(number, float) and 0.1 < abs(number) < 10 for number in numbers))
    leaves, values = [a, b], [Value(a), Value(b)]
    total(expression(*values)).backward()  # the sum depends on every operation
    grads = [value.grad for value in values]
    assert worst_difference(leaves, grads, lambda: total(expression(*leaves))) < 1e-6


@pytest.mark.parametrize(
    ("base", "exponent", "grad"),
    [(0.0, 2.0, 0.0), (0.0, 1.0, 1.0), (0.0, 0, 0.0), (-2.0, 3.0, 12.0), (math.nan, 2.0, math.nan)],
)
def test_powers_of_zero_negative_or_nan_have_correct_gradients(base, exponent, grad) -> None:
    x = Value(base)
    (x**exponent).backward()
    assert x.grad == pytest.approx(grad, nan_ok=True)


@pytest.mark.parametrize("data", ["a", None, [1.0]])
def test_a_value_must_be_a_number(data) -> None:
    with pytest.raises(TypeError, match="a Value must be a number, got"):
        Value(data)


def test_an_exponent_must_be_a_constant() -> None:
    with pytest.raises(TypeError, match=r"\*\*"):
        Value(2.0) ** Value(3.0)


def test_the_gradient_of_1_over_a_tiny_number_is_minus_infinity() -> None:
    x = Value(1e-200)
    (1.0 / x).backward()
    assert x.grad == -math.inf


def test_relu_passes_gradients_only_of_positive_inputs_and_keeps_nan() -> None:
    xs = [Value(-1.0), Value(0.0), Value(2.0)]
    total([x.relu() for x in xs]).backward()
    assert [x.grad for x in xs] == [0.0, 0.0, 1.0]
    assert math.isnan(relu(math.nan))
    assert math.isnan(Value(math.nan).relu().data)


def test_only_leaf_values_accumulate_gradients_across_passes() -> None:
    x = Value(3.0)
    inner = x * 2
    outer = inner * 5
    outer.backward()
    outer.backward()
    assert inner.grad == 5.0
    assert x.grad == 20.0  # each pass adds 10


def test_a_graph_is_freed_without_the_garbage_collector() -> None:
    class Tracked(Value):  # Value has no slot for weak references
        __slots__ = ("__weakref__",)

    gc.disable()
    try:
        node = Tracked(2.0)
        seen = weakref.ref(node)
        result = exp(log(node * 3 + 1)) ** 2 / node
        result.backward()
        del node, result
        assert seen() is None
    finally:
        gc.enable()
