"""The objective of sweeps and of searches without a budget: losses, or scores of names."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from microgpt import (
    DataError,
    EvaluationSet,
    InferenceGpt,
    Sizes,
    Split,
    StopWhen,
    TextKind,
    Tokenizer,
    TrainResult,
    char_tokenizer,
    count_params,
    step_operations,
    train,
)
from microgpt import measure as sizes_of
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.objectives import Fitness
from microgpt_evolution.objectives.aesthetic_judge import known_names, score_names
from microgpt_evolution.objectives.objective import DIVERGED
from microgpt_evolution.trial import Evaluation, ShouldStop, Trial

TEMPERATURE = 1.0
N_SAMPLES = 200  # number of names to score; with 5, as in evolve-rust, scores are mostly noise


@dataclass(frozen=True)
class LossObjective:
    """Trains models to measure losses or score names; raises DataError for unsuitable documents."""

    sets: Split
    fitness: Fitness | None = "held-out"  # None to score generated names instead
    n_samples: int = 0  # number of names to generate
    measures_test: bool = False  # whether to measure the test loss, too
    text: TextKind = "lines"

    def __post_init__(self) -> None:
        self.held_out(PRIMORDIAL.block_size)
        if self.fitness is None and self.tokenizer.is_chat:
            raise DataError("conversations have no names to score; use the objective loss")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer; its vocabulary includes the characters of held-out documents."""
        return char_tokenizer(self.sets.docs)

    @cached_property
    def training(self) -> Split:
        """The documents to train on; for "last-doc", all documents, as in evolve-rust."""
        docs = self.sets.docs if self.fitness == "last-doc" else self.sets.train
        return Split(docs, docs)

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes of the training documents in tokens."""
        return sizes_of(self.training.train, self.tokenizer, self.text)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that do not count as novel in a score."""
        return known_names(self.sets.docs)

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters of a genome's model."""
        return count_params(genome.model(self.tokenizer.vocab_size))

    def flops(self, trial: Trial) -> float:
        """Return the number of operations of a trial's training run."""
        genome, model = trial.genome, trial.genome.model(self.tokenizer.vocab_size)
        key = self.fitness == "last-doc", genome.block_size
        length = self.sets.once(key, lambda: self.sizes.chunk_length(genome.block_size))
        return genome.steps * step_operations(model, genome, length)

    def measure(self, trial: Trial, should_stop: ShouldStop = lambda: False) -> Evaluation:
        """Train a model with a trial's genome; return the losses, the samples and their scores."""
        trained = self._train(trial, should_stop)
        fitness, model = trained.losses[-1], InferenceGpt(trained, engine=trained.plan.engine)
        facts: dict[str, Any] = {"last_loss": fitness}
        if self.fitness == "held-out" or self.measures_test:
            found = self.held_out(model.config.block_size).evaluate(model.engine_model.nll)
            assert found
            fitness = facts["val_loss"] = found.loss
            if not math.isfinite(fitness):  # training can diverge in the last step
                return DIVERGED
        if self.measures_test and self.sets.test:
            facts["test_loss"] = model.evaluate(self.sets.test, text=self.text).loss
        if self.n_samples and not trained.tokenizer.is_chat:
            names = model.generate(self.n_samples, temperature=TEMPERATURE, seed=trial.seed)
            facts["samples"] = tuple(names)
            if self.fitness is None:
                fitness, facts["scores"] = math.inf, score_names(names, self.names)
        return Evaluation("ok", fitness, **facts)

    def held_out(self, block_size: int) -> EvaluationSet:
        """Return the validation documents as an evaluation set with a context of `block_size`."""
        key, docs = ("held out", block_size), self.sets.validation
        return self.sets.once(
            key, lambda: EvaluationSet.from_documents(docs, self.tokenizer, block_size, self.text)
        )

    def _train(self, trial: Trial, should_stop: ShouldStop) -> TrainResult:
        config = trial.genome.train_config(trial.seed)
        return train(
            self.training,
            model=trial.genome.model(),
            config=replace(config, shuffle=self.fitness != "last-doc", text=self.text),
            tokenizer=self.tokenizer,
            hooks=[StopWhen(should_stop)],
        )
