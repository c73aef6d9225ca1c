"""Fine-tuning: derive the tokenizer and the initial weights from a parent model."""

from collections.abc import Sequence
from dataclasses import replace

from microgpt.compilation import Tell
from microgpt.config import Given, ModelConfig
from microgpt.data.tokenizer import Document, Tokenizer, all_texts
from microgpt.errors import ConfigError
from microgpt.model import weight_shapes
from microgpt.settings import flag
from microgpt.state import TrainedModel


def inherited_tokenizer(
    parent: TrainedModel, docs: Sequence[Document], given: Given, tell: Tell
) -> Tokenizer:
    """Return the tokenizer of the parent, extended with new characters and chat tokens.

    A subword tokenizer gets no new characters, because it can encode any text.

    Raises:
        ConfigError: a plug-in knows what the parent has learned; the parent is a chat model, but
            the documents are texts; it knows no character of them, apart from spaces; or another
            tokenizer is given.
    """
    if parent.extra:
        raise ConfigError(
            f"the plug-in {' and '.join(parent.extra)} has a record of what the parent has learned "
            "and would forget; put all conversations into one file, and train on it without a "
            "parent"
        )
    is_chat = not all(isinstance(doc, str) for doc in docs)
    if parent.tokenizer.is_chat and not is_chat:
        raise ConfigError(
            "a chat model can be fine-tuned only on conversations, not on text; use --chat"
        )
    tokenizer = parent.tokenizer.extended(docs, is_chat=is_chat)
    chars = "".join("".join(set[str]().union(*all_texts(docs))).split())  # without white space
    if chars and {*chars} == {*parent.tokenizer.unknown_characters(chars)}:
        raise ConfigError("the parent knows none of the characters of the text; train without it")
    known = {"tokenizer": tokenizer.kind, "vocab_size": parent.tokenizer.vocab_size}
    for name, found in known.items():
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


def inherited(
    parent: TrainedModel, model: ModelConfig, tokenizer: Tokenizer, drawn: Sequence[float]
) -> list[float]:
    """Return the parent's weights, with random rows from `drawn` for new tokens.

    `drawn` and the result are flat, in the order of `weight_shapes`.
    """
    row_of = {name: i for i, name in enumerate(parent.tokenizer.names)}
    weights: list[float] = []
    for name, (_, n_columns) in weight_shapes(model).items():
        rows = parent.weights[name]
        if name in ("wte", "lm_head"):  # a row per token
            first = len(weights)
            starts = range(first, first + len(tokenizer.names) * n_columns, n_columns)
            rows = [
                rows[row_of[token]] if token in row_of else drawn[start : start + n_columns]
                for token, start in zip(tokenizer.names, starts, strict=True)
            ]
        weights.extend(number for row in rows for number in row)
    return weights
