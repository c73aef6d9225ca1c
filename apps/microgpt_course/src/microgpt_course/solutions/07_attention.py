"""Attention is how a token reads what came before it. A query says what the token looks for, a key
what a token offers, and a value what it passes on. All three are lists of the same length. These
are the four steps of one head, for one token:

1. Append the token's key and value to `keys` and `values`. These lists are the cache: they hold the
   keys and values of all earlier tokens.
2. Compare the query with each key so far, its own included: the score is their dot product divided
   by the square root of the query's length. (Longer lists have larger dot products. Without the
   root, softmax would soon give all weight to one token, and the others could no longer learn.)
3. Softmax turns the scores into weights, which add up to 1.
4. Return the mean of the values with these weights: its number i is the sum over the tokens of
   weights[token] * values[token][i].

    keys, values = [[1.0, 0.0], [0.0, 0.0]], [[10.0, 0.0], [0.0, 0.0]]      # two earlier tokens
    attend([0.0, 2.0], [0.0, 1.0], [0.0, 20.0], keys, values)
    # scores [0, 0, 2 / 1.4142] -> weights [0.1636, 0.1636, 0.6728] -> [1.6358, 13.4568]
    # and keys is now [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
"""

from microgpt.model import softmax
from microgpt.value import dot


def attend(query, key, value, keys, values):
    # Your code goes here.
    keys.append(key)
    values.append(value)
    scores = [dot(query, each) / len(query) ** 0.5 for each in keys]
    weights = softmax(scores)
    return [dot(weights, [each[i] for each in values]) for i in range(len(value))]
    # End of your code.
