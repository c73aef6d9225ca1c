"""A model loaded from a directory, with the content of its meta.json."""

import hashlib
from array import array
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

from pydantic import TypeAdapter, ValidationError

from microgpt.config import TrainConfig
from microgpt.data.split import DataFacts
from microgpt.errors import ConfigError
from microgpt.model import weight_shapes
from microgpt.state import TrainedModel
from microgpt.storage.meta import Meta


@dataclass(frozen=True, repr=False)
class SavedModel(TrainedModel):
    """A model loaded from a directory, including the content of meta.json."""

    meta: Meta
    progress: str | None = None  # of an unfinished run, such as "at step 400 of 1000"

    @property
    def config(self) -> TrainConfig:
        """The recorded settings of a training step, else the defaults."""
        config, training = super().config, self.meta.training
        for name in ("lr", "optimizer", "weight_decay", "text"):
            with suppress(ConfigError, TypeError):  # a setting of another program
                config = replace(config, **{name: training.get(name) or getattr(config, name)})
        return config

    @property
    def trained_on(self) -> tuple[DataFacts | None, ...]:
        """The training data of the model, its parent and its teachers; None for unknown data."""
        training = self.meta.training
        has_split = training.keys() & {"val_fraction", "test_fraction"}
        is_unknown = self.config.text == "stream" and has_split and "gap" not in training
        own = None if is_unknown else {**training, "sha256": training.get("data_sha256")}
        is_derived = training.keys() & {"parent_sha256", "teachers"}
        ancestors = training.get("ancestor_data", [None] if is_derived else [])
        return tuple(map(_data_facts, [own, *(ancestors if isinstance(ancestors, list) else "?")]))

    @property
    def extra(self) -> Mapping[str, Any]:
        """The records of plug-ins, in JSON, by the name of the plug-in."""
        return self.meta.extra or {}

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the weights file, or of the weights if meta.json has none."""
        if self.meta.weights_sha256:
            return self.meta.weights_sha256
        rows = chain.from_iterable(self.weights[name] for name in weight_shapes(self.model))
        return hashlib.sha256(array("d", chain.from_iterable(rows)).tobytes()).hexdigest()


def _data_facts(record: object) -> DataFacts | None:
    try:
        facts = TypeAdapter(DataFacts).validate_python(record)
        is_valid = facts.val_fraction >= 0 <= facts.test_fraction
        return facts if is_valid and facts.val_fraction + facts.test_fraction < 1 else None
    except ValidationError:  # written by another program, or damaged
        return None
