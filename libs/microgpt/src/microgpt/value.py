"""A number that remembers how it was made, so that it can be differentiated.

Each operation computes its result and notes, for each of its inputs, the local derivative;
`backward` multiplies those along every path (the chain rule). The functions at the end work on
`Value`s and on plain floats: what is written with them trains on the first, runs on the second.

A node holds its inputs and nothing holds the node: a graph is freed the moment its result is
dropped, without the cyclic garbage collector.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TypeVar, cast

Values = tuple["Value", ...]
Floats = tuple[float, ...]


class Value:
    """A scalar in a graph of computations.

    Attributes:
        data: the number itself.
        grad: how fast the result that `backward` was called on changes with this number.
    """

    __slots__ = ("_inputs", "_local_grads", "data", "grad")

    def __init__(self, data: float, _inputs: Values = (), _grads: Floats = ()) -> None:
        self.data = data
        self.grad = 0.0
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

    def __pow__(self, other: "Value | float") -> "Value":
        a, b = self.data, float(other)
        power = math.pow(a, b)
        slope = b * math.pow(a, b - 1) if a or b >= 1 else math.inf if b else 0.0
        if isinstance(other, Value):
            log_a = math.log(a) if a > 0 else 0.0 if a == 0 else math.nan  # a < 0 has none
            return Value(power, (self, other), (slope, power * log_a))
        return Value(power, (self,), (slope,))

    def exp(self) -> "Value":
        """Return e to the power of this value."""
        power = math.exp(self.data)
        return Value(power, (self,), (power,))

    def log(self) -> "Value":
        """Return the natural logarithm."""
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> "Value":
        """Return this value where it is positive, else 0."""
        return Value(max(self.data, 0.0), (self,), (float(self.data > 0),))

    # The rest follows from the operations above.

    def __neg__(self) -> "Value":
        return self * -1.0

    def __sub__(self, other: "Value | float") -> "Value":
        return self + -other

    def __rsub__(self, other: float) -> "Value":
        return -self + other

    def __rpow__(self, other: float) -> "Value":
        return Value(other) ** self

    def __rtruediv__(self, other: float) -> "Value":
        return Value(other) / self

    def __float__(self) -> float:  # the number alone, where no gradient is wanted
        return self.data

    def __repr__(self) -> str:
        return f"Value(data={self.data}, grad={self.grad})"

    def backward(self) -> None:
        """Add d self / d leaf to the `grad` of every leaf that this value was made from."""
        order: list[Value] = []  # the nodes that are no leaves, each after all it was made from
        seen = {self}
        path = [(self, iter(self._inputs))]
        while path:  # a depth-first walk with a stack of its own: the graph may be deep
            node, unvisited = path[-1]
            for source in unvisited:
                if source._inputs and source not in seen:
                    seen.add(source)
                    path.append((source, iter(source._inputs)))
                    break
            else:  # all that this node was made from is in the order
                path.pop()
                order.append(node)
                node.grad = 0.0  # left over from an earlier pass; only the leaves accumulate
        self.grad = 1.0
        for node in reversed(order):
            for source, local_grad in zip(node._inputs, node._local_grads, strict=True):
                source.grad += local_grad * node.grad


Number = TypeVar("Number", float, Value)  # either, but the same throughout one call


def exp(x: Number) -> Number:
    """Return e to the power of x."""
    return x.exp() if isinstance(x, Value) else math.exp(x)


def log(x: Number) -> Number:
    """Return the natural logarithm of x."""
    return x.log() if isinstance(x, Value) else math.log(x)


def relu(x: Number) -> Number:
    """Return x where it is positive, else 0."""
    return (
        x.relu() if isinstance(x, Value) else max(x, 0.0)
    )  # so, and not max(0.0, x), a nan stays one


def total(xs: Iterable[Number]) -> Number:
    """Return the sum, added from left to right.

    Not `sum`: since Python 3.12 it compensates the rounding of floats (and of floats alone), and
    the same run has to give the same digits everywhere.
    """
    return reduce(operator.add, xs)


def dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    """Return the sum of a[i] * b[i], for two non-empty sequences of one length.

    On Values it makes one node instead of 2 n - 1. Nearly all of a GPT is dot products, so the
    graph of a step shrinks to a fifteenth, and its time with it (bench/reference_speed.py).
    """
    if isinstance(a[0], Value):
        return _dot_node(cast("Values", a), cast("Values", b))
    return cast("Number", reduce(operator.add, map(operator.mul, a, b)))


def _dot_node(a: Values, b: Values) -> Value:
    a_data, b_data = [x.data for x in a], [x.data for x in b]
    return Value(dot(a_data, b_data), (*a, *b), (*b_data, *a_data))
