"""Hold out documents: as the options specify, as in an earlier training run, or by default."""

from collections.abc import Iterable, Sequence
from typing import Any

from microgpt.compilation import Tell
from microgpt.config import Given
from microgpt.data.contamination import recorded_facts
from microgpt.data.split import DataFacts, Split, split_documents
from microgpt.data.tokenizer import Documents, count_characters
from microgpt.errors import ConfigError, DataError
from microgpt.state import TrainedModel
from microgpt.training.choice import MAX_CONTEXT, held_out_fraction
from microgpt.training.distillation import Teachers

CHARACTERS_PER_SUBWORD = 4  # upper estimate for English; sets the gap between splits
FRACTIONS = {"val_fraction": "validation", "test_fraction": "testing"}


def hold_out(
    docs: Documents,
    given: Given,
    sources: Sequence[TrainedModel | Teachers] = (),
    tell: Tell = lambda line: None,
) -> Split:
    """Split documents as the given settings say, as the sources' data were split, or by default.

    With --minutes or --budget, the default is to hold out some documents if there are enough. The
    sources are the parent and the teachers; `tell` is called with notes for the user.

    Raises:
        ConfigError: a fraction is out of range, or the fractions leave no training data.
        DataError: there are too few documents.
    """
    recorded = _recorded_split(docs, data_of(sources), given)
    if new := sorted(recorded.keys() - given.keys()):
        values = ", ".join(f"{name} {recorded[name]}" for name in new)
        tell(f"as in the training of the parent or teacher: {values}")
    given = {**recorded, **given}
    if sources:  # the model has their context and tokenizer
        first = sources[0]
        size = first.block_size if isinstance(first, Teachers) else first.model.block_size
        given = {"block_size": size, "tokenizer": first.tokenizer.kind, **given}
    gap: int = MAX_CONTEXT  # unused characters around a held-out stretch of running text
    if given.get("gap") is not None:
        gap = given["gap"]
    elif "block_size" in given:  # otherwise, the context is chosen after the split
        is_bpe = given.get("tokenizer") == "bpe"
        gap = given["block_size"] * (CHARACTERS_PER_SUBWORD if is_bpe else 1)

    def split(default: float) -> Split:
        validation, test = (given.get(name, default) for name in FRACTIONS)
        return split_documents(docs, validation, test, gap)

    if not (given.get("minutes") or given.get("budget")):
        return split(0.0)
    try:
        texts = [docs] if isinstance(docs, str) else docs
        return split(held_out_fraction(sum(map(count_characters, texts))))
    except (ConfigError, DataError) as error:
        parts = split(0.0)  # fails if a fraction of the user does
        has_parent = any(isinstance(each, TrainedModel) for each in sources)
        if has_parent and not parts.validation:  # nothing says when the model has learned enough
            raise DataError(f"{error}, or use --steps instead of --minutes or --budget") from error
        uses = [use for name, use in FRACTIONS.items() if name not in given]
        tell(f"nothing is held out for {' or '.join(uses)} by default: {error}")
        return parts


def data_of(sources: Iterable[TrainedModel | Teachers]) -> tuple[DataFacts | None, ...]:
    """Return what these models and their ancestors were trained on."""
    return tuple(dict.fromkeys(facts for each in sources for facts in each.trained_on))


def _recorded_split(
    docs: Documents, read: Sequence[DataFacts | None], given: Given
) -> dict[str, Any]:
    """Return the settings of the split of an earlier training run on these documents, if any."""
    facts = next(iter(recorded_facts([docs] if isinstance(docs, str) else docs, read)), None)
    is_other = facts and facts.gap is not None and not isinstance(docs, str)  # read as lines now
    if not facts or is_other or all(name in given for name in FRACTIONS):
        return {}
    found = {name: getattr(facts, name) for name in (*FRACTIONS, "gap")}
    return {name: value for name, value in found.items() if value is not None}
