"""The objective of a budgeted search: train an organism up to the end of a rung, and measure it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from microgpt import (
    BpeTokenizer,
    Hook,
    ModelConfig,
    OnEvent,
    Sizes,
    Split,
    StopWhen,
    TextKind,
    Tokenizer,
    TrainConfig,
    TrainEvent,
    TrainResult,
    TrainState,
    char_tokenizer,
    config_for_operations,
    count_params,
    count_predictions,
    evaluation_operations,
    step_operations,
    train,
)
from microgpt import measure as sizes_of
from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import EVALUATIONS, Contestant, Evaluation, ShouldStop, Trial

STUDENT_LENGTH = 2  # number of training steps of a student, as a multiple of an organism's


class Tokens(NamedTuple):
    """A tokenizer, and the sizes of the documents in tokens."""

    tokenizer: Tokenizer
    training: Sizes
    validation: Sizes
    per_character: float  # number of predicted tokens per character of the validation set


class Plan(NamedTuple):
    """The settings and the cost of a complete training run."""

    model: ModelConfig
    config: TrainConfig
    operations: float  # number of operations of one evaluation and the steps before it
    length: float  # mean number of predicted tokens per document or chunk


@dataclass(frozen=True)
class RungObjective:
    """Trains each organism with the same number of operations, and measures held-out losses."""

    sets: Split
    text: TextKind
    operations: float  # number of operations of a complete training run, without evaluations

    def tokens(self, vocab_size: int = 0) -> Tokens:
        """Return a BPE tokenizer, or a CharTokenizer for size 0, and the sets' sizes in tokens."""
        return self.sets.once(("tokens", vocab_size), lambda: self._tokens(vocab_size))

    def _tokens(self, vocab_size: int) -> Tokens:
        sets = self.sets
        tokenizer: Tokenizer = char_tokenizer(sets.docs)
        if vocab_size:
            tokenizer = BpeTokenizer.from_documents(sets.train, vocab_size)
        n_tokens, n_characters = (
            sum(count_predictions(doc, self.text, count) for doc in sets.validation)
            for count in (tokenizer.count, len)
        )
        return Tokens(
            tokenizer,
            training=sizes_of(sets.train, tokenizer, self.text),
            validation=sizes_of(sets.validation, tokenizer, self.text),
            per_character=n_tokens / max(1, n_characters),
        )

    def cost(self, genome: Genome, n_evaluations: int) -> float:
        """Return the number of operations needed for n evaluations and the steps before them."""
        return n_evaluations * self.plan(genome).operations

    def student_cost(self, genome: Genome, n_teachers: int, n_samples: int) -> float:
        """Return the number of operations to train a student, including its teachers' predictions.

        The teachers predict the training documents and n_samples documents that they generate.
        """
        if not n_teachers:
            return 0.0
        plan = self.plan(genome)
        n_tokens = self.tokens(genome.vocab_size).training.n_tokens + n_samples * plan.length
        teaching = evaluation_operations(plan.model, plan.length, n_tokens)
        return STUDENT_LENGTH * self.cost(genome, EVALUATIONS) + n_teachers * teaching

    def plan(self, genome: Genome) -> Plan:
        """Return the settings and the cost of the complete training run of a genome."""
        return self.sets.once((genome, self.operations), lambda: self._plan(genome))

    def _plan(self, genome: Genome) -> Plan:
        tokens = self.tokens(genome.vocab_size)
        model = genome.model(tokens.tokenizer.vocab_size)
        length = tokens.training.chunk_length(model.block_size)
        assert genome.n_tokens
        config = replace(
            genome.train_config(seed=0),
            batch_size=max(1, round(genome.n_tokens / length)),
            evaluations=EVALUATIONS,
            text=self.text,
        )
        config = config_for_operations(config, model, self.operations, length)
        steps = config.steps_between_evaluations * step_operations(model, config, length)
        held_out = tokens.validation
        is_long = held_out.mean_length > model.block_size  # overlapping windows read tokens twice
        n_tokens = (2 if is_long else 1) * held_out.n_tokens
        evaluation = evaluation_operations(model, held_out.chunk_length(model.block_size), n_tokens)
        return Plan(model, config, steps + evaluation, length)

    def flops(self, trial: Trial) -> float:
        """Return the number of operations of a trial's rung, including its evaluations."""
        assert isinstance(trial, Contestant)
        return self.cost(trial.genome, trial.n_evaluations)

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters of a genome's model."""
        return count_params(self.plan(genome).model)

    def accepts(self, genome: Genome) -> bool:
        """Return whether a genome's training run has at least one step per evaluation."""
        return self.plan(genome).config.steps >= EVALUATIONS

    def train(
        self,
        organism: Contestant,
        n_evaluations: int,
        state: TrainState | None,
        hooks: Sequence[Hook] = (),
    ) -> TrainResult:
        """Train an organism until it has n_evaluations, starting from `state` if it is given."""
        plan = self.plan(organism.genome)
        config = replace(plan.config, seed=organism.seed)
        if n_evaluations < EVALUATIONS:
            config = replace(config, until=n_evaluations * config.steps_between_evaluations)
        tokenizer = self.tokens(organism.genome.vocab_size).tokenizer
        options: dict[str, Any] = {"model": plan.model, "config": config, "tokenizer": tokenizer}
        return train(self.sets, **options, resume=state, hooks=hooks)

    def measure(self, trial: Trial, should_stop: ShouldStop = lambda: False) -> Evaluation:
        """Train an organism up to the end of its rung, `trial.until`, and return its new losses."""
        assert isinstance(trial, Contestant)
        assert trial.until
        losses, tokens = list[float](), self.tokens(trial.genome.vocab_size)
        # A training run whose state is lost starts again, but losses that are recorded are skipped.
        n_before = len(trial.losses) * self.plan(trial.genome).config.steps_between_evaluations

        def note(event: TrainEvent) -> None:
            if event.val_loss is not None and event.step > n_before:
                losses.append(event.val_loss * tokens.per_character)

        hooks = [OnEvent(note), StopWhen(should_stop)]
        result = self.train(trial, trial.until, trial.state, hooks)
        lowest, checkpoint = min(losses, default=math.inf), (result.plan, result.state)
        return Evaluation("ok", lowest, losses=tuple(losses), checkpoint=checkpoint)
