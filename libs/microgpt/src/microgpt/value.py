"""Scalar automatic differentiation, and functions that accept `Value`s or floats.

Each operation computes its result and its derivative with respect to each input; `backward` applies
the chain rule. A node refers to its inputs only, so a graph is freed together with its result.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TypeVar, cast

Values = tuple["Value", ...]


class Value:
    """A scalar in a computation graph."""

    __slots__ = ("_inputs", "_local_grads", "data", "grad")

    def __init__(self, data: float, _inputs: Values = (), _grads: tuple[float, ...] = ()) -> None:
        if not (_inputs or hasattr(data, "__float__")):
            raise TypeError(f"a Value must be a number, got {data!r:.40}")
        self.data = data
        self.grad = 0.0  # d result / d self; `result.backward()` adds to it if self is a leaf
        self._inputs = _inputs
        self._local_grads = _grads  # d self / d input, for each input

    def __add__(self, other: "Value | float") -> "Value":
        if isinstance(other, Value):
            return Value(self.data + other.data, (self, other), (1.0, 1.0))
        return Value(self.data + other, (self,), (1.0,))

    __radd__ = __add__

    def __mul__(self, other: "Value | float") -> "Value":
        if isinstance(other, Value):
            return Value(self.data * other.data, (self, other), (other.data, self.data))
        return Value(self.data * other, (self,), (other,))

    __rmul__ = __mul__

    def __truediv__(self, other: "Value | float") -> "Value":
        if isinstance(other, Value):
            quotient = self.data / other.data
            return Value(quotient, (self, other), (1 / other.data, -quotient / other.data))
        return Value(self.data / other, (self,), (1 / other,))

    def __pow__(self, exponent: float) -> "Value":
        if isinstance(exponent, Value):
            return NotImplemented  # gradients with respect to the exponent are not supported
        slope = exponent * math.pow(self.data, exponent - 1) if exponent else 0.0  # avoids 0.0**-1
        return Value(math.pow(self.data, exponent), (self,), (slope,))

    def exp(self) -> "Value":
        """Return e to the power of this value."""
        power = math.exp(self.data)
        return Value(power, (self,), (power,))

    def log(self) -> "Value":
        """Return the natural logarithm of this value."""
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> "Value":
        """Return this value if it is positive, else 0 with a gradient of 0."""
        return Value(max(self.data, 0.0), (self,), (float(self.data > 0),))

    def __neg__(self) -> "Value":
        return self * -1.0

    def __sub__(self, other: "Value | float") -> "Value":
        return self + -other

    def __rsub__(self, other: float) -> "Value":
        return -self + other

    def __rtruediv__(self, other: float) -> "Value":
        return Value(other) / self

    def __float__(self) -> float:
        return self.data

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def backward(self) -> None:
        """Add d self / d leaf to the `grad` of each leaf, a Value without inputs."""
        order, seen = list[Value](), {self}  # topological order: inputs first, without leaves
        path = [(self, iter(self._inputs))]
        while path:  # iterative depth-first search; recursion could exceed Python's limit
            node, unvisited = path[-1]
            for source in unvisited:
                if source._inputs and source not in seen:
                    seen.add(source)
                    path.append((source, iter(source._inputs)))
                    break
            else:  # all inputs of this node have been visited
                path.pop()
                order.append(node)
                node.grad = 0.0  # each `backward` recomputes it; only leaves accumulate gradients
        self.grad = 1.0
        for node in reversed(order):  # each node follows all its uses, so its grad is complete
            for source, local_grad in zip(node._inputs, node._local_grads, strict=True):
                source.grad += local_grad * node.grad  # the chain rule, summed over all uses


Number = TypeVar("Number", float, Value)  # all arguments of a call have the same type


def exp(x: Number) -> Number:
    """Return e to the power of x."""
    return x.exp() if isinstance(x, Value) else math.exp(x)


def log(x: Number) -> Number:
    """Return the natural logarithm of x."""
    return x.log() if isinstance(x, Value) else math.log(x)


def relu(x: Number) -> Number:
    """Return x if positive, else 0."""
    return x.relu() if isinstance(x, Value) else max(x, 0.0)  # max(0.0, x) would turn NaN into 0


def total(xs: Iterable[Number]) -> Number:
    """Return the sum of one or more numbers, added from left to right.

    Since Python 3.12, the built-in `sum` corrects rounding errors, which changes the last digits.
    """
    return reduce(operator.add, xs)


def dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    """Return the sum of a[i] * b[i], for two non-empty sequences of equal length.

    For `Value`s, `dot` creates one node instead of 2 n - 1. Most operations of a training step are
    dot products, so a step is about 15 times faster (bench/studies/reference_speed.py at a922fbb8).
    """
    if not isinstance(a[0], Value):
        return cast("Number", reduce(operator.add, map(operator.mul, a, b)))
    a_data: list[float] = [x.data for x in cast("Values", a)]
    b_data: list[float] = [x.data for x in cast("Values", b)]
    return Value(dot(a_data, b_data), cast("Values", (*a, *b)), (*b_data, *a_data))
