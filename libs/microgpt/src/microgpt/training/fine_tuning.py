"""Fine-tuning: reuse a parent's tokenizer and weights, and the split of a parent or teachers.

`planning` reuses the shape and dtype. Training settings and the optimizer state are not reused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from microgpt.config import Given, ModelConfig
from microgpt.data.contamination import recorded_facts
from microgpt.data.split import DataFacts, Split, split_documents
from microgpt.data.tokenizer import Document, Documents, Tokenizer, all_texts
from microgpt.errors import ConfigError, DataError
from microgpt.model import weight_shapes
from microgpt.plugins import Tell
from microgpt.settings import flag
from microgpt.training.choice import MAX_CONTEXT, held_out_fraction
from microgpt.training.distillation import Teachers
from microgpt.training_state import TrainedModel

CHARACTERS_PER_SUBWORD = 4  # upper estimate for English; converts a gap in tokens to characters
FRACTIONS = {"val_fraction": "validation", "test_fraction": "testing"}


def hold_out(
    docs: Documents,
    given: Given,
    sources: Sequence[TrainedModel | Teachers] = (),
    tell: Tell = lambda line: None,
) -> Split:
    """Split documents by the given fractions, else by those of `sources`, else by the defaults.

    By default, --minutes and --budget hold out some documents if there are enough. `sources`
    contains the parent and the teachers.
    """
    recorded = _recorded_split(docs, data_of(sources), given)
    if new := sorted(recorded.keys() - given.keys()):
        values = ", ".join(f"{name} {recorded[name]}" for name in new)
        tell(f"split as in the training of the parent or teacher: {values}")
    given = {**recorded, **given}
    if sources:  # the model inherits the context and tokenizer of `sources`
        first = sources[0]
        size = first.block_size if isinstance(first, Teachers) else first.model.block_size
        given = {"block_size": size, "tokenizer": first.tokenizer.kind, **given}
    gap: int = MAX_CONTEXT  # unused characters on each side of a stretch of held-out running text
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
        return split(held_out_fraction(sum(map(len, all_texts(texts)))))
    except (ConfigError, DataError) as error:
        sets = split(0.0)  # raises an error if the given fractions cannot be used
        has_parent = any(isinstance(each, TrainedModel) for each in sources)
        if has_parent and not sets.validation:  # overfitting would go unnoticed
            raise DataError(f"{error}, or use --steps instead of --minutes or --budget") from error
        uses = [use for name, use in FRACTIONS.items() if name not in given]
        tell(f"nothing is held out for {' or '.join(uses)} by default: {error}")
        return sets


def data_of(sources: Iterable[TrainedModel | Teachers]) -> tuple[DataFacts | None, ...]:
    """Return the data on which models and their ancestors were trained; None for unknown data."""
    return tuple(dict.fromkeys(facts for each in sources for facts in each.trained_on))


def _recorded_split(
    docs: Documents, read: Sequence[DataFacts | None], given: Given
) -> dict[str, Any]:
    """Return the split settings of an earlier run on the same documents; {} if there is none."""
    facts = next(iter(recorded_facts([docs] if isinstance(docs, str) else docs, read)), None)
    # If the earlier run used running text, its split by position does not suit lines.
    is_other = facts and facts.gap is not None and not isinstance(docs, str)
    if not facts or is_other or all(name in given for name in FRACTIONS):
        return {}
    found = {name: getattr(facts, name) for name in (*FRACTIONS, "gap")}
    return {name: value for name, value in found.items() if value is not None}


def inherited_tokenizer(
    parent: TrainedModel, docs: Sequence[Document], given: Given, tell: Tell
) -> Tokenizer:
    """Return the tokenizer of the parent, extended with new characters and chat tokens."""
    if parent.extra:
        raise ConfigError(
            f"a model of the plug-in {' and '.join(parent.extra)} cannot be fine-tuned; "
            "put all conversations into one file, and train on it without a parent"
        )
    is_chat = not all(isinstance(doc, str) for doc in docs)
    if parent.tokenizer.is_chat and not is_chat:
        raise ConfigError(
            "a chat model can be fine-tuned only on conversations, not on text; use --chat"
        )
    tokenizer = parent.tokenizer.extended(docs, is_chat=is_chat)
    chars = "".join("".join(set[str]().union(*all_texts(docs))).split())  # without white space
    if chars and {*chars} == {*parent.tokenizer.unknown_characters(chars)}:
        raise ConfigError("the parent knows none of the characters of the text; omit the parent")
    inherited = {"tokenizer": tokenizer.kind, "vocab_size": parent.tokenizer.vocab_size}
    for name, found in inherited.items():
        if (wanted := given.get(name, found)) != found:
            what = f"{flag(name)} is {wanted}, but the --from model has {found}"
            raise ConfigError(f"{what}; omit {flag(name)}")
    names = frozenset(parent.tokenizer.names)
    if added := [repr(name) for name in tokenizer.names if name not in names]:
        tell(f"added tokens with random weights: {', '.join(added)}")
    return tokenizer


def check_shape(parent: TrainedModel, model: ModelConfig) -> None:
    """Raise ConfigError unless the model has the same shape as its parent."""
    expected = replace(parent.model, vocab_size=model.vocab_size, init_std=model.init_std)
    for name, size in vars(expected).items():
        if getattr(model, name) != size:
            raise ConfigError(
                f"{name} is {getattr(model, name)}, but the model to fine-tune has {size}; "
                f"omit {name}"
            )


def inherited_weights(
    parent: TrainedModel, model: ModelConfig, tokenizer: Tokenizer, drawn: Sequence[float]
) -> list[float]:
    """Return the parent's weights, flat, with random rows from `drawn` for new tokens."""
    row_of = {name: i for i, name in enumerate(parent.tokenizer.names)}
    weights: list[float] = []
    for name, (_, n_columns) in weight_shapes(model).items():
        rows = parent.weights[name]
        if name in ("wte", "lm_head"):  # the matrices with a row per token
            first = len(weights)
            starts = range(first, first + len(tokenizer.names) * n_columns, n_columns)
            rows = [
                rows[row_of[token]] if token in row_of else drawn[start : start + n_columns]
                for token, start in zip(tokenizer.names, starts, strict=True)
            ]
        weights.extend(number for row in rows for number in row)
    return weights
