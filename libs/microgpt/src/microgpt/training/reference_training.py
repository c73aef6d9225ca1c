"""Training with the reference engine, with all settings, and masked or soft targets.

`ReferenceEngine.backward` is the same computation without these features.
"""

import math
from array import array
from collections.abc import Sequence

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.token_dataset import TokenDataset
from microgpt.flat_weights import Numbers
from microgpt.model import Gpt, Weights, cross_entropy
from microgpt.model_variants import Dropout, GptVariant, batch_dropout, gpt_type
from microgpt.muon import MuonEngine
from microgpt.reference import Batch, ReferenceEngine, Tokens
from microgpt.value import Number, exp, log, total

Target = int | Sequence[float] | None  # a token, the probability of each token, or no target
Targets = Sequence[Sequence[Target]]  # the targets of the documents of a batch


class ReferenceTraining:
    """A model being trained by the reference engine; flat numbers are as in `weight_shapes`."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, weights: Weights[float], docs: TokenDataset
    ) -> None:
        adam = (config.beta1, config.beta2, config.adam_eps, config.weight_decay)
        kind = MuonEngine if config.optimizer == "muon" else ReferenceEngine
        gpt = GptVariant if batch_dropout(config, 0) else gpt_type(model)
        self._engine = kind(model, weights, *adam, gpt)
        self._config, self._docs = config, docs

    def resume(self, step: int, weights: Numbers, adam_m: Numbers, adam_v: Numbers) -> None:
        """Restore the step, weights and Adam moments of a checkpoint."""
        self.set_weights(weights.tolist())
        self._engine.n_steps = step
        self._engine.adam_m, self._engine.adam_v = adam_m.tolist(), adam_v.tolist()

    @property
    def n_steps(self) -> int:
        """The number of optimizer steps so far."""
        return self._engine.n_steps

    def set_weights(self, numbers: Sequence[float]) -> None:
        """Set the weights from flat numbers."""
        for param, number in zip(self._engine.params, numbers, strict=True):
            param.data = number

    def flat_weights(self) -> Numbers:
        """Return a flat copy of the weights."""
        return array("d", [param.data for param in self._engine.params])

    def numbers(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return copies of the weights and of the Adam moments m and v."""
        adam_m, adam_v = array("d", self._engine.adam_m), array("d", self._engine.adam_v)
        return self.flat_weights(), adam_m, adam_v

    def grads(self) -> Numbers:
        """Return a flat copy of the gradients of the last `backward` call."""
        return array("d", [param.grad for param in self._engine.params])

    def run(self, until: int) -> list[float]:
        """Take a step, unless `until` steps have been taken; return the losses of the new steps.

        If the last loss is NaN, that step had a non-finite loss or gradient and was not applied.
        """
        if self.n_steps >= until:
            return []
        loss = self.backward()
        if not math.isnan(loss):
            self._engine.update(self._config.lr_at(self.n_steps))
        return [loss]

    def backward(self) -> float:
        """Return the loss of the next batch without an update, or NaN if a value is not finite."""
        first = self.n_steps * self._config.batch_size
        ids = [i % len(self._docs) for i in range(first, first + self._config.batch_size)]
        batch, targets = [self._docs[i] for i in ids], [self._docs.targets_of(i) for i in ids]
        drops = batch_dropout(self._config, self.n_steps)
        return accumulate(self._engine, batch, targets, drops)


def accumulate(
    engine: ReferenceEngine, batch: Batch, targets: Targets = (), drops: Sequence[Dropout] = ()
) -> float:
    """Compute the gradients; return the mean loss over the targets (default: the next tokens).

    Return NaN if the loss or a gradient is not finite. `drops` has the dropout of each document,
    for a `GptVariant`.
    """
    engine.zero_grad()
    size = engine.gpt.config.block_size
    targets = [wanted[:size] for wanted in targets or [doc[1:] for doc in batch]]
    n_targets, loss = sum(len(wanted) - wanted.count(None) for wanted in targets), 0.0
    for i, (doc, wanted) in enumerate(zip(batch, targets, strict=True)):
        if len(wanted) > wanted.count(None):
            gpt = engine.gpt
            if drops:
                assert isinstance(gpt, GptVariant)
                gpt = gpt.with_dropout(drops[i])
            share = (1 / n_targets) * target_loss(gpt, doc[: size + 1], wanted)
            share.backward()  # gradients accumulate; the graph of each document is freed
            loss += share.data
    is_finite = all(map(math.isfinite, [loss, *(param.grad for param in engine.params)]))
    return loss if is_finite else math.nan


def target_loss(gpt: Gpt[Number], tokens: Tokens, targets: Sequence[Target]) -> Number:
    """Return the summed cross-entropy of the targets in nats; `document_loss` for any targets."""
    cache = gpt.new_cache()
    logits = [gpt.forward(token, cache) for token in tokens[:-1]]
    return total(
        cross_entropy(x, target) if isinstance(target, int) else soft_cross_entropy(x, target)
        for x, target in zip(logits, targets, strict=True)
        if target is not None
    )


def soft_cross_entropy(logits: Sequence[Number], target: Sequence[float]) -> Number:
    """Return the mean cross-entropy over a distribution of targets, in nats."""
    largest = max(map(float, logits))
    shares = zip(logits, target, strict=True)
    mean = total((logit - largest) * share for logit, share in shares)
    return log(total(exp(logit - largest) for logit in logits)) - mean
