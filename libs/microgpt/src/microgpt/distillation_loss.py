"""The loss of a student in distillation (Hinton, Vinyals & Dean 2015)."""

from collections.abc import Sequence

from microgpt.value import Number, exp, log, total


def soft_cross_entropy(logits: Sequence[Number], target: Sequence[float]) -> Number:
    """Return the cross-entropy with the teachers' mean probabilities, in nats."""
    largest = max(map(float, logits))
    shares = zip(logits, target, strict=True)
    mean = total((logit - largest) * share for logit, share in shares)
    return log(total(exp(logit - largest) for logit in logits)) - mean
