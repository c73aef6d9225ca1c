"""Training that begins with the weights of another model, on new data.

This module knows nothing of how training works or of files.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from microgpt.config import ModelConfig
from microgpt.errors import ConfigError
from microgpt.model import weight_shapes
from microgpt.state import TrainedModel
from microgpt.tokenizer import CharTokenizer, Document

A_ROW_A_TOKEN = ("wte", "lm_head")


def extended_tokenizer(parent: TrainedModel, docs: Iterable[Document]) -> CharTokenizer:
    """Return a tokenizer of the parent's characters and those of the documents.

    Raises:
        ConfigError: the parent is a chat model, and the documents are texts.
    """
    needed = CharTokenizer.from_documents(docs)
    if parent.tokenizer.is_chat and not needed.is_chat:
        raise ConfigError(
            "a chat model learns from conversations, and these are texts; train it with --chat"
        )
    chars = sorted({*parent.tokenizer.chars, *needed.chars})
    return CharTokenizer(chars, is_chat=needed.is_chat)


def new_tokens(parent: TrainedModel, tokenizer: CharTokenizer) -> list[str]:
    """Return the names of the tokens that the parent does not have."""
    return [name for name in tokenizer.names if name not in parent.tokenizer.names]


def check_shape(parent: TrainedModel, model: ModelConfig) -> None:
    """Raise ConfigError, with both values, unless a model has the shape of its parent."""
    expected = replace(parent.model, vocab_size=model.vocab_size, init_std=model.init_std)
    for name, size in vars(expected).items():
        if getattr(model, name) != size:
            raise ConfigError(
                f"{name} is {getattr(model, name)}, but {size} in the model to begin with; "
                "leave it out"
            )


def inherited(
    parent: TrainedModel, model: ModelConfig, tokenizer: CharTokenizer, drawn: Sequence[float]
) -> list[float]:
    """Return the weights that a model begins with: the parent's, and drawn ones for new tokens.

    Args:
        parent: of the same shape, but for the vocabulary.
        model: the shape.
        tokenizer: knows all tokens of the parent.
        drawn: a number for each weight, in the order of `weight_shapes`, as the result.
    """
    place_of = {name: i for i, name in enumerate(parent.tokenizer.names)}
    places = [place_of.get(name) for name in tokenizer.names]
    weights: list[float] = []
    for name, (n_rows, n_columns) in weight_shapes(model).items():
        rows = parent.weights[name]
        if name not in A_ROW_A_TOKEN:
            weights.extend(number for row in rows for number in row)
            continue
        start = len(weights)
        for i in range(n_rows):
            place, first = places[i], start + i * n_columns
            weights.extend(drawn[first : first + n_columns] if place is None else rows[place])
    return weights
