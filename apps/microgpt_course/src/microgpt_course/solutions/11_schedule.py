"""How far the weights move in a step depends on the learning rate. At first they are far from good
values; near the end, large moves would only jump around them. So the rate falls linearly, from
`lr` in step 0 to 0 in step `steps`, which is no longer taken:

    learning_rate(0, steps=10, lr=0.02)             # 0.02
    learning_rate(5, steps=10, lr=0.02)             # 0.01

Larger models begin with a warm-up, because Adam's means are still inaccurate. In the first
`warmup` steps, the rate above is multiplied by a factor that rises to 1: 1/warmup in step 0,
2/warmup in step 1, and so on. From then on, the factor is 1. Without warm-up, it is always 1.

    learning_rate(1, steps=10, lr=0.02, warmup=4)   # 0.02 * 0.9 * 2/4 = 0.009
"""


def learning_rate(step, steps, lr, warmup=0):
    # Your code goes here.
    rate = lr * (1 - step / steps)
    if step < warmup:
        rate *= (step + 1) / warmup
    return rate
    # End of your code.
