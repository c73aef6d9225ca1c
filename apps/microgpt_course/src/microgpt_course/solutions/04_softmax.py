"""The model returns a score, a logit, for each token that may come next. Softmax turns the logits
into probabilities: raise e to each logit, then divide by the sum of these powers.

    softmax([1.0, 2.0, 3.0])            # [0.0900, 0.2447, 0.6652]; they add up to 1

e to the power of 1000 is too large for a computer. Subtract the largest logit from all of them
first: the result stays the same, because numerator and denominator are divided by the same number.

The loss of a prediction, the cross-entropy, is -log(p), where p is the probability of the token
that actually came next (the target). It is 0 if p is 1, and large if p is small. With the natural
logarithm, its unit is the nat.

    cross_entropy([1.0, 2.0, 3.0], 2)   # -log(0.6652) = 0.4076

Its derivative with respect to a logit is the probability of that token, minus 1 for the target:
here [0.0900, 0.2447, -0.3348]. A step against the gradient raises the target's logit and lowers the
others.

`exp` and `log` accept floats and Values, so both functions work with both.
"""

from microgpt.value import exp, log


def softmax(logits):
    largest = max(float(logit) for logit in logits)
    # Your code: return a list of probabilities.
    powers = [exp(logit - largest) for logit in logits]
    total = sum(powers)
    return [power / total for power in powers]
    # End of your code.


def cross_entropy(logits, target):
    """Return the loss in nats; target is the number of the token that came next."""
    # Your code goes here.
    return -log(softmax(logits)[target])
    # End of your code.
