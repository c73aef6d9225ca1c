"""Train an organism up to a fraction of its operations, and measure its held-out loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from microgpt.config import TextKind, TrainConfig
from microgpt.data.bpe import BpeTokenizer
from microgpt.data.folding import char_tokenizer
from microgpt.data.sizes import Sizes, measure
from microgpt.data.split import Split
from microgpt.data.tokenizer import Tokenizer, count_predictions
from microgpt.state import TrainEvent, TrainResult, TrainState
from microgpt.training.train import DivergedError, train
from microgpt_evolution.budgeted.genome import BudgetedGenome

LOSS_ON = TrainConfig.loss_on
EVALUATIONS = 8  # number of evaluations of a complete training run; a rung ends at one of them


class Tokens(NamedTuple):
    """A tokenizer, and the sizes of the training documents in its tokens."""

    tokenizer: Tokenizer
    sizes: Sizes
    per_character: float  # number of predicted tokens per character of the validation set


@dataclass(frozen=True)
class Rung:
    """A training run to be continued up to one of its evaluations."""

    genome: BudgetedGenome
    seed: int
    until: int = EVALUATIONS  # number of evaluations at which to stop
    state: TrainState | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class RungResult:
    """The losses of a training run so far, in nats per character, and its state."""

    losses: tuple[float, ...]  # validation loss at each evaluation since the last rung
    state: TrainState | None = field(default=None, compare=False, repr=False)  # None: it diverged
    trained: TrainResult | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class BudgetedObjective:
    """Trains organisms for a number of operations each and measures their held-out loss."""

    parts: Split
    text: TextKind
    operations: float  # for a complete training run, without evaluations
    _known: dict[int | None, Tokens] = field(default_factory=dict, repr=False, compare=False)

    def tokens(self, vocab_size: int | None) -> Tokens:
        """Return the tokenizer for a size of the BPE vocabulary, or for characters if None."""
        if vocab_size not in self._known:  # a race is harmless: both threads get the same
            parts = self.parts
            tokenizer: Tokenizer = (
                char_tokenizer(parts.docs)
                if vocab_size is None
                else BpeTokenizer.from_documents(parts.train, vocab_size)
            )
            sizes = measure(parts.train, tokenizer, self.text)
            n_tokens, n_characters = (
                sum(count_predictions(doc, LOSS_ON, self.text, count) for doc in parts.validation)
                for count in (tokenizer.count, len)
            )
            self._known[vocab_size] = Tokens(tokenizer, sizes, n_tokens / n_characters)
        return self._known[vocab_size]

    def run(self, rung: Rung, should_stop: Callable[[], bool] | None = None) -> RungResult:
        """Train up to an evaluation; the result is incomplete if training was stopped."""
        genome, tokens = rung.genome, self.tokens(rung.genome.vocab_size)
        model = genome.model(tokens.tokenizer.vocab_size)
        config = genome.train_config(
            self.operations,
            tokens.sizes,
            vocab_size=tokens.tokenizer.vocab_size,
            text=self.text,
            seed=rung.seed,
            evaluations=EVALUATIONS,
        )
        losses: list[float] = []

        def note(event: TrainEvent) -> None:
            if event.val_loss is not None:
                losses.append(event.val_loss * tokens.per_character)

        try:
            result = train(
                self.parts,
                model=model,
                config=config,
                tokenizer=tokens.tokenizer,
                resume=rung.state,
                until=None
                if rung.until == EVALUATIONS
                else rung.until * config.steps_between_evaluations,
                on_event=note,
                should_stop=should_stop,
            )
        except DivergedError:
            return RungResult((math.inf,))
        return RungResult(tuple(losses), result.state, result)
