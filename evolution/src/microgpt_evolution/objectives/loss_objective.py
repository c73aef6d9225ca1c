"""Train an organism, and measure its loss or score the names that it generates.

Genomes whose training run takes too many FLOPs are refused.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Self

from microgpt import (
    CharTokenizer,
    DataError,
    DivergedError,
    Document,
    EvaluationSet,
    InferenceGpt,
    Split,
    StopWhen,
    TextKind,
    Tokenizer,
    TrainResult,
    engine_module,
    train,
)
from microgpt_evolution.genome import Genome, training_flops
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.objectives.judge import known_names
from microgpt_evolution.objectives.own_objective import OwnFunction
from microgpt_evolution.objectives.scores import EVOLVE_RUST_SAMPLES, NameScores, score_names
from microgpt_evolution.organism import Evaluation, ShouldStop, Trial

MAX_FLOPS = 2e13  # maximum FLOPs per training run; takes a few minutes on one core
TEMPERATURE = 1.0
N_SAMPLES = 200  # with 5 names, as in evolve-rust, scores are mostly noise
DIVERGED = Evaluation("diverged", reason="the loss was not a finite number")


@dataclass(frozen=True)
class LossObjective:
    """Trains an organism on documents and measures its loss."""

    training: Split
    validation: Sequence[Document]  # documents for the held-out loss
    tokenizer: Tokenizer  # built from all documents, including held-out documents
    fitness: Fitness = "held-out"
    max_flops: float = MAX_FLOPS  # maximum FLOPs per training run; larger genomes are refused
    text: TextKind = "lines"
    own: OwnFunction | None = None  # what to minimise if the fitness is "own"
    n_samples: int = 0  # number of names to generate and score; 0 to minimise a loss
    known: frozenset[str] = frozenset()  # names in all documents, including held-out documents
    _pieces: dict[int, EvaluationSet] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        parts: Split,
        fitness: Fitness = "held-out",
        *,
        keeps_best: bool = False,
        **options: Any,
    ) -> Self:
        """Create the objective for a split; `options` sets the other fields.

        For "last-doc", the objective trains on all documents in file order, as evolve-rust does.

        Args:
            keeps_best: whether a model keeps the weights with the lowest validation loss, as in
                `train`, instead of the last ones.
        """
        if not parts.validation:
            raise DataError("a search needs held-out documents; split the documents first")
        docs = parts.docs if fitness == "last-doc" else parts.train
        tokenizer = options.pop("tokenizer", None) or CharTokenizer.from_documents(parts.docs)
        if options.get("n_samples"):
            options["known"] = known_names(parts.docs)
        training = Split(docs, docs, parts.validation if keeps_best else ())
        return cls(training, parts.validation, tokenizer, fitness, **options)

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters."""
        return genome.n_params(self.tokenizer.vocab_size)

    def flops(self, trial: Trial) -> int:
        """Estimate the FLOPs of a training run that uses all documents equally often."""
        genome = trial.genome
        hyper = replace(genome.train_config(seed=0), text=self.text)
        chunks = self.training.chunked(self.tokenizer, genome.block_size, hyper)
        n_chunks = genome.steps * genome.batch_size
        n_tokens = round(n_chunks * chunks.n_tokens / max(1, len(chunks)))
        model = genome.model(self.tokenizer.vocab_size)
        return training_flops(model, n_docs=n_chunks, n_tokens=n_tokens)

    def refusal(self, trial: Trial) -> str | None:
        """Return the reason why a genome cannot be trained, or None."""
        if (flops := self.flops(trial)) > self.max_flops:
            return f"training needs {flops:.2g} operations, the limit is {self.max_flops:.2g}"
        return None

    def measure(self, trial: Trial, should_stop: ShouldStop | None = None) -> Evaluation:
        """Train and evaluate an organism; the evaluation is invalid if training was stopped."""
        if self.own and not self.own.needs_training:
            return self.own.evaluate(trial.genome, should_stop)
        trained = self.train(trial, should_stop)
        if isinstance(trained, Evaluation):
            return trained
        last_loss = trained.losses[-1]
        if self.n_samples:
            samples, scores = generate_and_score(
                InferenceGpt(trained), self.known, self.n_samples, trial.seed
            )
            return Evaluation("ok", last_loss=last_loss, samples=samples, scores=scores)
        if self.own:
            return replace(self.own.evaluate(trained, should_stop), last_loss=last_loss)
        if self.fitness == "last-doc":
            return Evaluation("ok", last_loss, last_loss)
        val_loss = self.held_out_loss(trained)
        if not math.isfinite(val_loss):  # the last step may have diverged
            return DIVERGED
        return Evaluation("ok", val_loss, last_loss, val_loss)

    def train(self, trial: Trial, should_stop: ShouldStop | None) -> TrainResult | Evaluation:
        """Train a model; return the training result, or an evaluation if training failed."""
        is_shuffled = self.fitness != "last-doc"
        config = trial.genome.train_config(trial.seed)
        config = replace(config, shuffle=is_shuffled, text=self.text)
        try:
            result = train(
                self.training,
                model=trial.genome.model(),
                config=config,
                tokenizer=self.tokenizer,
                hooks=[StopWhen(should_stop)] if should_stop else (),
            )
        except DivergedError:
            return DIVERGED
        return Evaluation("crashed") if result.ending == "stopped" else result

    def held_out_loss(self, result: TrainResult) -> float:
        """Return the loss on the validation documents, in nats per token."""
        if result.val_loss is not None:  # of the best weights, which were kept
            return result.val_loss
        block_size = result.model.block_size
        pieces = self._pieces.get(block_size)
        if pieces is None:  # a race is harmless: both threads build the same set
            pieces = self._pieces[block_size] = EvaluationSet.of(
                self.validation, self.tokenizer, block_size, result.config.text
            )
        weights = result.state.final_weights(result.config.steps)  # those of the model
        make_model = engine_module(result.plan.engine).make_model
        evaluation = pieces.evaluate(make_model(result.model, weights, result.dtype).nll)
        assert evaluation is not None
        return evaluation.loss


def generate_and_score(
    model: InferenceGpt, known: Set[str], n_samples: int, seed: int
) -> tuple[tuple[str, ...], NameScores]:
    """Generate names with a model and return the names and their scores.

    Args:
        known: names that do not count as novel, from `known_names`.
        n_samples: number of names. With 5, as in evolve-rust, repeated names keep their score;
            with any other number, they score at most 0.
    """
    samples = model.generate(n_samples, temperature=TEMPERATURE, seed=seed)
    repeats_count = n_samples == EVOLVE_RUST_SAMPLES
    return tuple(samples), score_names(samples, known, repeats_count=repeats_count)
