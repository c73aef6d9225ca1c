"""Attention moves information between tokens. The MLP (multilayer perceptron) then processes each
token by itself: one matrix makes the vector longer (in GPTs four times as long), ReLU replaces
negative numbers with 0, and a second matrix makes the vector as long as before. The numbers between
the two matrices are the hidden units.

    mlp([1.0, 2.0], fc1=[[1.0, 1.0], [1.0, -1.0]], fc2=[[2.0, 5.0]])
    # hidden [3.0, -1.0] -> after ReLU [3.0, 0.0] -> [6.0]

Without ReLU, two matrices could do no more than one: (fc2 fc1) x is a single matrix times x.
"""

from microgpt.model import linear
from microgpt.value import relu  # relu(x), for floats and Values


def mlp(x, fc1, fc2):
    # Your code goes here.
    hidden = [relu(h) for h in linear(x, fc1)]
    return linear(hidden, fc2)
    # End of your code.
