"""Training asks of each number in the model: if it grew a little, how would the loss change?

A Value is a number that remembers the Values it was computed from (`inputs`) and, for each of
them, the slope: the derivative of this number with respect to that input. If z = x + y, z grows as
fast as x, so both slopes are 1:

    z = Value(2.0) + Value(3.0)
    z.data, z.slopes                # 5.0, (1.0, 1.0)

Write the product and the power. For z = x * y with x = 2 and y = 3: if x grows by 0.001, z grows by
0.003. The derivative of x ** n is n * x ** (n - 1). `inputs` (Values) and `slopes` (plain numbers)
are tuples; a tuple of one is (x,).

The check compares your slopes with finite differences: it changes x by a small number and divides
the change of z by this number.
"""


class Value:
    def __init__(self, data, inputs=(), slopes=()):
        self.data = data  # the number
        self.grad = 0.0  # used in the next exercise
        self.inputs = inputs  # the Values from which it was computed
        self.slopes = slopes  # d self / d input, one for each input

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)  # Value + 1 works, too
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        # Your code: return the product with its inputs and slopes.
        return Value(self.data * other.data, (self, other), (other.data, self.data))
        # End of your code.

    def __pow__(self, n):
        """Return self to the power of n, a plain number; the only input is self."""
        # Your code goes here.
        return Value(self.data**n, (self,), (n * self.data ** (n - 1),))
        # End of your code.
