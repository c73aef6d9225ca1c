"""Attention is how a token reads what came before it. One head, for one token, in four steps:

1. The token has a query, a key and a value, each a list of numbers. Append its key and value to
   `keys` and `values`. These lists are the cache: they hold those of all earlier tokens.
2. Compare the query with each key so far, its own included: the score is their dot product divided
   by the square root of their length (here 2 numbers, so 1.4142).
3. Softmax turns the scores into weights, which add up to 1.
4. Return the mean of the values with these weights: its number i is the sum, over the tokens, of
   weight * value[i].

    keys, values = [[1.0, 0.0]], [[10.0, 0.0]]          # one earlier token
    attend([0.0, 2.0], [0.0, 1.0], [0.0, 20.0], keys, values)
    # scores [0, 2 / 1.4142] -> weights [0.1956, 0.8044] -> [1.9557, 16.0886]
    # and keys is now [[1.0, 0.0], [0.0, 1.0]]
"""

from microgpt.model import softmax
from microgpt.value import dot


def attend(query, key, value, keys, values):
    # Your code.
    keys.append(key)
    values.append(value)
    scores = [dot(query, each) / len(query) ** 0.5 for each in keys]
    weights = softmax(scores)
    return [dot(weights, [each[i] for each in values]) for i in range(len(value))]
    # End of your code.
