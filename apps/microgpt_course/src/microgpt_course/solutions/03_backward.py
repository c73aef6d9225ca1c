"""The gradient of a result: its derivative with respect to each Value that it was computed from.

`result.backward()` sets `grad` of all of them. The gradient of the result itself is 1. Then the
chain rule goes from the result back to its inputs: an input's gradient grows by slope * gradient of
the Value that used it. If a Value was used several times, all contributions add up.

    a, b = Value(2.0), Value(-3.0)
    result = (a * b + 10) * a       # a * a * b + 10 * a
    result.backward()
    a.grad, b.grad                  # 2ab + 10 = -2.0, a * a = 4.0

The order matters. A Value may pass its gradient on only after every Value that used it has done so;
otherwise it would pass on only the part that it has received so far.
`topological_order` is written for you; it lists each Value after all of its inputs.
"""


class Value:
    def __init__(self, data, inputs=(), slopes=()):
        self.data = data
        self.grad = 0.0  # d result / d self
        self.inputs = inputs
        self.slopes = slopes  # d self / d input, one for each input

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def backward(self):
        order = topological_order(self)  # inputs first, self last
        # Your code: set the gradients, from the last Value of the order to the first.
        self.grad = 1.0
        for value in reversed(order):
            for source, slope in zip(value.inputs, value.slopes, strict=True):
                source.grad += slope * value.grad
        # End of your code.


def topological_order(result):
    order, seen, stack = [], set(), [(result, False)]
    while stack:
        value, is_done = stack.pop()
        if is_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack.extend((source, False) for source in value.inputs)
    return order
