"""Plan a training run: choose the settings that are not given."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from microgpt.config import DEFAULT_DTYPE, Given, ModelConfig, TrainConfig
from microgpt.data.contamination import contamination, describe_read
from microgpt.data.context import ChunkedDataset
from microgpt.data.folding import char_tokenizer
from microgpt.data.split import Split
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Tokenizer
from microgpt.edited_sources import find_edited_sources
from microgpt.errors import ConfigError, DataError
from microgpt.learning_rate import default_lr
from microgpt.plugins import Tell
from microgpt.settings import RECORDED, with_given
from microgpt.training.choice import DROPOUT, Choice, readable
from microgpt.training.distillation import Teachers
from microgpt.training.engines import default_engine, reading_order
from microgpt.training.fine_tuning import check_shape, data_of, inherited_tokenizer
from microgpt.training.fitting import Fitting, choose_settings
from microgpt.training.time_limit import TimeLimit
from microgpt.training_state import TrainedModel, TrainingPlan, TrainState


class Place(NamedTuple):
    """The position of a model in an ensemble; the default is a model trained alone."""

    name: str = ""  # such as "teacher 2 of 6"
    steps_before: int = 0  # total steps of the models that are trained before this one
    steps_after: int = 0  # total steps of the models that are trained after this one
    cost_ratio: float = 1.0  # cost of all models relative to this one; 0: do not measure the speed


@dataclass(frozen=True)
class TrainingJob:
    """A training run to start or resume."""

    plan: TrainingPlan
    sets: Split
    parent: TrainedModel | None = None  # model to fine-tune
    teachers: Teachers | None = None  # models whose predictions are the targets
    resume: TrainState | None = None
    limit: TimeLimit | None = None
    choice: Choice | None = None  # the settings that were chosen, if any
    place: Place = field(default_factory=Place)

    def with_steps(self, steps: int) -> "TrainingJob":
        """Return the job with another number of steps; in an ensemble, with `steps` per teacher."""
        plan, ensemble, n = self.plan, self.plan.ensemble, steps
        if ensemble:
            n = max(1, plan.config.steps * steps // ensemble.teacher.steps)
            ensemble = replace(ensemble, teacher=ensemble.teacher.with_steps(steps))
        config, ratio = plan.config.with_steps(n), n / plan.config.steps
        if self.choice and not (self.parent or plan.given.keys() & {"dropout", "preset", "genome"}):
            config = replace(config, dropout=round(min(DROPOUT, ratio * config.dropout), 2))
        after = self.place.steps_after * n // plan.config.steps
        plan = replace(plan, config=config, ensemble=ensemble)
        return replace(self, plan=plan, place=self.place._replace(steps_after=after))

    def extend(self, seconds: float) -> None:
        """Exclude the given number of seconds from the time limit, if there is one."""
        if self.limit:
            self.limit.started += seconds

    @property
    def chunks(self) -> ChunkedDataset:
        """The chunks of the training set."""
        return self.sets.chunked(self.plan.tokenizer, self.plan.model.block_size, self.plan.config)

    def dataset(self, rng: random.Random, threads: int) -> TokenDataset:
        """Return the encoded training chunks, in the order in which they are used."""
        plan, chunks = self.plan, self.chunks
        if self.teachers:
            dataset = self.teachers.dataset(chunks, plan, rng, threads)
        else:
            dataset = chunks.encode(reading_order(len(chunks), plan.config, rng, plan.engine))
        if len(chunks) and dataset.n_predictions:
            return dataset
        raise DataError(
            "the conversations have no replies to learn; add messages with the role assistant"
        )


def plan_training(
    sets: Split,
    given: Given,
    *,
    model: ModelConfig | None = None,
    config: TrainConfig | None = None,
    tokenizer: Tokenizer | None = None,
    extra: Mapping[str, Any] | None = None,
    parent: TrainedModel | None = None,
    teachers: Teachers | None = None,
    limit: TimeLimit | None = None,
    tell: Tell = lambda line: None,
) -> TrainingJob:
    """Plan a training run with the given settings; choose the others to suit the documents.

    Model, config and tokenizer override the given settings; `extra` contains the plug-in records
    from `prepare_replies`; `tell` is called with notes for the user.
    """
    if "unknown" in given and not extra:
        raise ConfigError(
            "--unknown requires a table of questions and microgpt-characters; omit --unknown"
        )
    base = with_given(config or TrainConfig(), given)
    if base.patience and not (sets.val_fraction or sets.validation):
        raise ConfigError("--patience requires --val-fraction; add it, or omit --patience")
    engine = base.engine or default_engine()
    default = parent.dtype if parent and engine != "reference" else DEFAULT_DTYPE[engine]
    base = replace(base, engine=engine, dtype=base.dtype or default)
    given = {**given, "engine": engine, "dtype": base.dtype}
    if parent:
        tokenizer = tokenizer or inherited_tokenizer(parent, sets.docs, given, tell)
        shape = model or replace(parent.model, vocab_size=0)
        model = with_given(shape, {**given, "vocab_size": shape.vocab_size})
        check_shape(parent, model)
    elif model:
        tokenizer = tokenizer or (teachers.tokenizer if teachers else char_tokenizer(sets.docs))
    elif teachers:  # by default, the student has the teachers' context and tokenizer
        tokenizer = tokenizer or teachers.tokenizer
        given = {"block_size": teachers.block_size, "tokenizer": tokenizer.kind, **given}
    chosen = None
    if not model or (parent and (given.get("minutes") or given.get("budget"))):
        wanted = {**given, "text": base.text, **({"single": True} if teachers else {})}
        fitting = Fitting(sets, wanted, tokenizer, parent.model if parent else None)
        chosen = choose_settings(fitting, limit)
        base = base if config else chosen.config
        if not model:
            model, tokenizer = chosen.model, chosen.tokenizer
    assert tokenizer
    if teachers:
        teachers.check(sets.docs, tokenizer, model.block_size)
    read = data_of([each for each in (parent, teachers) if each])
    ensemble = chosen.ensemble if chosen and not config else None
    recorded = _recorded(given, chosen)
    sets = readable(sets, recorded.get("budget"))
    plan = TrainingPlan(
        model=replace(model, vocab_size=tokenizer.vocab_size),
        config=replace(base, lr=base.lr or default_lr(model.n_embd)),
        tokenizer=tokenizer,
        data=sets.facts,
        given=recorded,
        ensemble=ensemble,
        ancestor_data=read,
        contamination=contamination(sets, read, base.text),
        extra=dict(extra or {}),
        parent_sha256=parent.sha256 if parent else None,
        edited_sources=find_edited_sources() if engine == "reference" else {},
    )
    if line := describe_read(plan.contamination):
        tell(line)
    return TrainingJob(plan, sets, parent, teachers, limit=limit, choice=chosen)


def _recorded(given: Given, chosen: Choice | None) -> Given:
    """Return the given settings to record, with the chosen budget and vocabulary size."""
    has_budget = given.get("minutes") or given.get("budget")
    budget = chosen.budget if chosen and has_budget else None
    found = {**given, "budget": budget, "vocab_size": chosen.vocab_size if chosen else None}
    return {name: found[name] for name in RECORDED if found.get(name) is not None}
