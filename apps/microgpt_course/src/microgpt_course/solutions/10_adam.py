"""The gradient says in which direction the loss rises, so each weight moves the other way. Adam
decides how far. For each weight it keeps two running means, which start at 0:

    m = beta1 * m + (1 - beta1) * gradient         # the mean of recent gradients
    v = beta2 * v + (1 - beta2) * gradient ** 2    # the mean of their squares

Because they start at 0, both are too small at first. In step t (1, 2, 3 ...), correct them:

    m_hat = m / (1 - beta1 ** t)        v_hat = v / (1 - beta2 ** t)

Then the weight changes by -lr * m_hat / (sqrt(v_hat) + eps). The small eps is outside the root; it
only prevents a division by 0. If all gradients of a weight have been alike, m_hat / sqrt(v_hat) is
1 or -1, whatever their size: the weight moves by lr.

    adam = Adam(2)
    adam.step([1.0, 1.0], [0.5, -20.0], lr=0.01)   # the weights are now [0.99, 1.01]
"""

import math


class Adam:
    def __init__(self, n_weights, beta1=0.85, beta2=0.99, eps=1e-8):
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = [0.0] * n_weights
        self.v = [0.0] * n_weights
        self.t = 0  # the number of steps so far

    def step(self, weights, gradients, lr):
        """Return the new weights, as a list, after one step."""
        # Your code goes here.
        self.t += 1
        new = []
        for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * gradient
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * gradient**2
            m_hat = self.m[i] / (1 - self.beta1**self.t)
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            new.append(weight - lr * m_hat / (math.sqrt(v_hat) + self.eps))
        return new
        # End of your code.
