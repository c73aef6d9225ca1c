"""Each layer adds to a vector, so its numbers would grow from layer to layer. RMSNorm scales a
vector so that its root mean square, the square root of the mean of the squares, is 1.

    rmsnorm([3.0, 4.0])                 # mean square 12.5, so [3 / 3.5355, 4 / 3.5355]
                                        # = [0.8485, 1.1314]

Scaling a vector of zeros would divide by 0. Add 1e-5 to the mean square, before the root is taken.
`x ** -0.5` is one divided by the square root of x. It works for Values, too; math.sqrt does not.
"""

from microgpt.value import dot


def rmsnorm(x):
    # Your code: return a list as long as x.
    mean_square = dot(x, x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [number * scale for number in x]
    # End of your code.
