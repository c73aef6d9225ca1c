"""At its beginning, a GPT turns a token into a vector; at its end, it turns a vector into logits.

Weights are stored in matrices, each a list of rows. `wte` has a row for each token and `wpe` a row
for each position (0 is the first). Attention does not know the order of tokens, so the model adds
the row of the position to the row of the token. That sum is the embedding.

    wte, wpe = [[1.0, 2.0], [3.0, 4.0]], [[0.1, 0.2], [0.3, 0.4]]
    embedding(1, 0, wte, wpe)           # [3.1, 4.2]

All matrices are used in one way: the dot product of each row with a vector, which multiplies them
number by number and adds up the products. [1, 2] and [3, 4] have the dot product 1*3 + 2*4 = 11.

    linear([3.0, 4.0], [[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])    # [11.0, 4.0, 3.0]
"""

from microgpt.value import dot  # dot(row, x), for floats and Values


def embedding(token, position, wte, wpe):
    """Return the embedding, a list as long as a row of wte."""
    # Your code goes here.
    return [t + p for t, p in zip(wte[token], wpe[position], strict=True)]
    # End of your code.


def linear(x, matrix):
    """Return the dot product of each row of the matrix with x."""
    # Your code goes here.
    return [dot(row, x) for row in matrix]
    # End of your code.
