"""Train an organism up to one of its evaluations, and measure its held-out loss."""

import math
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import NamedTuple, Protocol

from microgpt import (
    BpeTokenizer,
    DivergedError,
    ModelConfig,
    OnEvent,
    Sizes,
    Split,
    StopWhen,
    TextKind,
    Tokenizer,
    TrainConfig,
    TrainEvent,
    char_tokenizer,
    count_params,
    count_predictions,
    evaluation_operations,
    step_operations,
    train,
    with_steps,
)
from microgpt import measure as sizes_of
from microgpt_evolution.budgeted.genome import EVALUATIONS
from microgpt_evolution.genome import Genome
from microgpt_evolution.organism import Evaluation, ShouldStop, Trial

STUDENT_LENGTH = 2  # steps of a student, relative to those of an organism


class Tokens(NamedTuple):
    """A tokenizer, and the sizes of the documents in tokens."""

    tokenizer: Tokenizer
    training: Sizes
    validation: Sizes
    per_character: float  # number of predicted tokens per character of the validation set


class Watch(Protocol):
    """Decides between evaluations whether there is time to continue."""

    def may_begin(self, operations: float) -> bool:
        """Return whether training may begin or continue, given the operations to complete it."""

    def may_continue(self, operations: float, seconds: float) -> bool:
        """Return whether training may continue up to its next evaluation.

        Args:
            operations: cost of the evaluation that has ended and of the steps before it.
            seconds: their duration.
        """


class Plan(NamedTuple):
    """The settings of a complete training run."""

    model: ModelConfig
    config: TrainConfig
    operations: float  # between two evaluations, including one of them
    length: float  # mean number of predicted tokens per document or chunk


@dataclass(frozen=True)
class BudgetedObjective:
    """Trains organisms for a number of operations each and measures their held-out loss."""

    parts: Split
    text: TextKind
    operations: float  # for a complete training run, without evaluations
    watch: Watch | None = field(default=None, repr=False, compare=False)
    _known: dict[int, Tokens] = field(default_factory=dict, repr=False, compare=False)
    _plans: dict[Genome, Plan] = field(default_factory=dict, repr=False, compare=False)

    def tokens(self, vocab_size: int = 0) -> Tokens:
        """Return the tokenizer for a BPE vocabulary of this size, or for characters if it is 0."""
        if vocab_size not in self._known:  # a race is harmless: both threads get the same
            parts = self.parts
            tokenizer: Tokenizer = (
                BpeTokenizer.from_documents(parts.train, vocab_size)
                if vocab_size
                else char_tokenizer(parts.docs)
            )
            n_tokens, n_characters = (
                sum(count_predictions(doc, self.text, count) for doc in parts.validation)
                for count in (tokenizer.count, len)
            )
            training, validation = (
                sizes_of(docs, tokenizer, self.text) for docs in (parts.train, parts.validation)
            )
            per_character = n_tokens / max(1, n_characters)
            self._known[vocab_size] = Tokens(tokenizer, training, validation, per_character)
        return self._known[vocab_size]

    def settings(self, genome: Genome, seed: int = 0) -> tuple[ModelConfig, TrainConfig]:
        """Return the model and training settings of a complete training run."""
        plan = self.plan(genome)
        return plan.model, replace(plan.config, seed=seed)

    def cost(self, genome: Genome, n_evaluations: int) -> float:
        """Return the number of operations up to the n-th evaluation, evaluations included."""
        return n_evaluations * self.plan(genome).operations

    def student_cost(self, genome: Genome, n_teachers: int, n_samples: int) -> float:
        """Return the cost in operations of a student of this size and of its teachers' targets."""
        if not n_teachers:
            return 0.0
        plan, sizes = self.plan(genome), self.tokens(genome.vocab_size).training
        n_tokens = sizes.n_tokens + n_samples * plan.length
        teaching = evaluation_operations(plan.model, plan.length, n_tokens)
        return STUDENT_LENGTH * self.cost(genome, EVALUATIONS) + n_teachers * teaching

    def plan(self, genome: Genome) -> Plan:
        """Return the settings of a complete training run, and its cost."""
        if genome in self._plans:
            return self._plans[genome]
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
        config = with_steps(config, model, self.operations, length)
        steps = config.steps_between_evaluations * step_operations(model, config, length)
        held_out = tokens.validation
        is_long = held_out.mean_length > model.block_size  # windows read each token twice
        n_tokens = (2 if is_long else 1) * held_out.n_tokens
        evaluation = evaluation_operations(model, held_out.chunk_length(model.block_size), n_tokens)
        plan = self._plans[genome] = Plan(model, config, steps + evaluation, length)
        return plan

    def flops(self, trial: Trial) -> float:
        """Return the number of operations of a rung, including its evaluations."""
        return self.cost(trial.genome, trial.n_evaluations)

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters."""
        return count_params(self.plan(genome).model)

    def refusal(self, trial: Trial) -> str | None:
        """Return the reason why a genome cannot be trained, or None."""
        config = self.plan(trial.genome).config
        if config.steps < EVALUATIONS:
            return f"its training run would have {config.steps} steps, fewer than {EVALUATIONS}"
        return None

    def measure(self, trial: Trial, should_stop: ShouldStop | None = None) -> Evaluation:
        """Train up to an evaluation; the evaluation is invalid if training was stopped.

        Its losses are the new ones, in nats per character; infinity if training diverged. If the
        watch stops the training run, some losses are missing; if it prevents the start, there are
        none.
        """
        watch, operations = self.watch, self.plan(trial.genome).operations
        n_known = len(trial.losses)
        if watch and not watch.may_begin((EVALUATIONS - n_known) * operations):
            return Evaluation("ok")
        tokens = self.tokens(trial.genome.vocab_size)
        model, config = self.settings(trial.genome, trial.seed)
        assert trial.until
        if trial.until < EVALUATIONS:
            config = replace(config, until=trial.until * config.steps_between_evaluations)
        losses: list[float] = []
        may_continue, started = True, perf_counter()

        def note(event: TrainEvent) -> None:
            nonlocal may_continue, started
            # Without its state, a training run begins again, with losses that are known.
            n_before = n_known * config.steps_between_evaluations
            if event.val_loss is None or event.step <= n_before:
                return
            losses.append(event.val_loss * tokens.per_character)
            if watch and len(losses) < trial.n_evaluations:
                before, started = started, perf_counter()
                may_continue = watch.may_continue(operations, started - before)

        def stop() -> bool:
            return not may_continue or (should_stop is not None and should_stop())

        try:
            result = train(
                self.parts,
                model=model,
                config=config,
                tokenizer=tokens.tokenizer,
                resume=trial.state,
                hooks=[OnEvent(note), StopWhen(stop)],
            )
        except DivergedError:
            return Evaluation("diverged", losses=(math.inf,))
        lowest, checkpoint = min(losses, default=math.inf), (result.plan, result.state)
        return Evaluation("ok", lowest, losses=tuple(losses), checkpoint=checkpoint)
