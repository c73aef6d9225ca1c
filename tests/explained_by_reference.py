"""Compute the numbers that the view "Look inside" shows, with the scalar reference engine."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from microgpt import InferenceGpt
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Message
from microgpt.errors import PromptError
from microgpt.model import add, cross_entropy, linear, rmsnorm
from microgpt.model_variants import GptVariant
from microgpt.parameters import by_name
from microgpt.storage.model_metadata import SavedModel
from microgpt.value import Value, total
from microgpt_engine.trainer import CompiledTraining

N_CHANGES, WINDOW = 3, 64  # tokens in a list of changes; visible rows and columns of a matrix


class Text(NamedTuple):
    """The tokens of a text, and for each prediction, 1 if it counts in training, else 0."""

    tokens: list[int]
    counted: list[int]

    @classmethod
    def from_document(cls, saved: SavedModel, doc: Document, *, unfinished: bool = False) -> "Text":
        tokenizer = saved.tokenizer
        if isinstance(doc, str) and tokenizer.is_chat:
            doc = [Message("user", doc)]
        tokens = tokenizer.encode_document(doc)[: -1 if tokenizer.is_chat else None]
        mask = tokenizer.mask(doc)
        counted = (
            [*mask[1:-1]] if mask else [*(len(tokens) - 2) * [1], int(saved.config.text == "lines")]
        )
        counted[-1] *= not unfinished
        return cls(tokens, counted)


def changed(saved: SavedModel, body: dict[str, Any], learn: Sequence[Text] = ()) -> SavedModel:
    """Return a model after a training step on each text, without the heads and MLPs in `body`."""
    for text in learn:
        saved = after_step(saved, text)
    weights = {name: [[*row] for row in rows] for name, rows in saved.weights.items()}
    D = saved.model.head_dim
    for layer, head in body.get("without_heads", ()):
        for row in weights[f"layer{layer}.attn_wo"]:
            row[head * D : (head + 1) * D] = D * [0.0]
    for layer in body.get("without_mlps", ()):
        for row in weights[f"layer{layer}.mlp_fc2"]:
            row[:] = len(row) * [0.0]
    return replace(saved, weights=weights)


def after_step(saved: SavedModel, text: Text) -> SavedModel:
    """Return a model after one training step on a text."""
    if (n := len(text.counted)) > (size := saved.model.block_size):
        raise PromptError(f"a step takes up to {size} tokens, the context of the model, got {n}")
    if not any(text.counted):
        raise PromptError("there is nothing to learn; add a reply, or a text")
    docs, config = TokenDataset(), replace(saved.config, steps=1, batch_size=1)
    docs.append(text.tokens, bytes([0, *text.counted]))
    engine = CompiledTraining(saved.model, config, docs, dtype=saved.dtype)
    engine.set_weights(_flat(saved))
    engine.run(1)
    return replace(saved, weights=by_name(saved.model, engine.flat_weights().tolist()))


def ablations(saved: SavedModel, text: Text, position: int | None = None) -> list[dict[str, Any]]:
    """Return the effects of removing each head, all heads of a layer, or an MLP (head: None)."""
    (tokens, counted), label = text, saved.tokenizer.label
    places = [i for i, counts in enumerate(counted) if counts] or range(len(counted))

    def rows_and_bits(model: SavedModel) -> tuple[list[list[float]], float]:
        rows = [*InferenceGpt(model).log_probabilities(tokens[:-1])]
        return rows, -math.fsum(rows[i][tokens[i + 1]] for i in places) / math.log(2)

    (own, bits), found = rows_and_bits(saved), []
    for layer in range(saved.model.n_layer):
        heads = range(saved.model.n_head)
        for head in (*heads, "all", None):
            some = [(layer, each) for each in (heads if head == "all" else [head])]
            off = {"without_mlps": [layer]} if head is None else {"without_heads": some}
            rows, bits_without = rows_and_bits(changed(saved, off))
            part: dict[str, Any] = {"layer": layer, "head": head, "bits": bits}
            found.append({**part, "bits_without": bits_without, "came": None})
            found[-1] |= {"raised": [], "lowered": []}
            if position is None:
                continue
            pairs = zip(map(math.exp, own[position]), map(math.exp, rows[position]), strict=True)
            changes = [
                {"token": i, "text": label(i), "probability": with_it, "without": without}
                for i, (with_it, without) in enumerate(pairs)
            ]
            order = sorted(changes, key=lambda one: one["without"] - one["probability"])
            raised = [x for x in order[:N_CHANGES] if x["probability"] > x["without"]]
            lowered = [x for x in order[: -N_CHANGES - 1 : -1] if x["probability"] < x["without"]]
            came = changes[tokens[position % len(counted) + 1]]
            found[-1] |= {"came": came, "raised": raised, "lowered": lowered}
    return found


class _Recording(GptVariant[Any]):
    """A scalar model that records its activations by name, for each token."""

    found: dict[str, list[Any]]

    def keep(self, name: str, values: Any) -> Any:
        self.found.setdefault(name, []).append(values)
        return values

    def embedding(self, token: int, position: int) -> Any:
        x = super().embedding(token, position)
        return self.keep("embedding", [each + 0.0 for each in x])  # copies have separate gradients

    def block(self, x: Any, layer: int, cache: Any) -> Any:
        self.layer = f"layer{layer}."
        if not layer:
            self.keep("x", x)
        x = add(x, self.attention(rmsnorm(x), layer, cache))
        self.keep(self.layer + "x_after_attention", x)
        return self.keep(self.layer + "x", add(x, self.mlp(rmsnorm(x), layer)))

    def query_or_key(self, x: Any, matrix: str) -> Any:
        name = "query" if matrix.endswith("wq") else "key"
        return self.keep(self.layer + name, super().query_or_key(x, matrix))

    def attention_weights(self, query: Any, keys: Any) -> Any:
        return self.keep(self.layer + "attention", super().attention_weights(query, keys))


# The activations that each matrix multiplies (INPUTS), and those that it returns (OUTPUTS).
INPUTS = {"attn_wq": "attention_input", "attn_wo": "heads", "mlp_fc1": "mlp_input"}
INPUTS |= {"mlp_fc2": "hidden"}
OUTPUTS = {"attn_wv": "value", "attn_wo": "attention_output", "mlp_fc2": "mlp_output"}


class Inside:
    """The activations of a text by name and, after `backward`, their gradients."""

    def __init__(self, saved: SavedModel, text: Text, kind: type = float) -> None:
        self.weights = {
            name: [[kind(x) for x in row] for row in rows] for name, rows in saved.weights.items()
        }
        names = {id(rows): name for name, rows in self.weights.items()}
        self.products: dict[str, list[Any]] = {}  # inputs and outputs of each matrix

        def recorded(x: Any, w: Any) -> Any:
            self.products.setdefault(names[id(w)], []).append((x, out := linear(x, w)))
            return out

        gpt, tokens = _Recording(saved.model, self.weights), text.tokens
        gpt.found = self.found = {}
        with (
            patch("microgpt.model.linear", recorded),
            patch("microgpt.model_variants.linear", recorded),
        ):
            cache = gpt.new_cache()
            self.found["logits"] = [gpt.forward(token, cache) for token in tokens[:-1]]
        for name, pairs in self.products.items():
            layer, _, matrix = name.rpartition(".")
            inputs, outputs = zip(*pairs, strict=True)
            self.found |= {f"{layer}.{INPUTS[matrix]}": inputs} if matrix in INPUTS else {}
            self.found |= {f"{layer}.{OUTPUTS[matrix]}": outputs} if matrix in OUTPUTS else {}
        if not saved.model.is_karpathys:
            self.found["logits_input"] = [x for x, _ in self.products["lm_head"]]
        H = saved.model.n_head
        for layer in range(saved.model.n_layer):
            rows = self.found[f"layer{layer}.attention"]
            self.found[f"layer{layer}.attention"] = [
                rows[i : i + H] for i in range(0, len(rows), H)
            ]

    def at(self, position: int, of: Any = float) -> dict[str, Any]:
        """Return the activations at a position."""

        def plain(each: Any) -> Any:
            return [*map(plain, each)] if isinstance(each, list | tuple) else of(each)

        return {name: plain(values[position]) for name, values in self.found.items()}


def backward(
    saved: SavedModel, text: Text, weight: tuple[str, int, int], position: int | None = None
) -> dict[str, Any]:
    """Return the losses, the gradients and the weight changes of a training step on a text."""
    later, (tokens, counted), (matrix, row, column) = after_step(saved, text), text, weight
    losses = [InferenceGpt(each).engine_model.losses([tokens]) @ counted for each in (saved, later)]
    inside = Inside(saved, text, Value)
    pairs = zip(inside.found["logits"], tokens[1:], counted, strict=True)
    chosen = [cross_entropy(logits, token) for logits, token, counts in pairs if counts]
    ((1 / len(chosen)) * total(chosen)).backward()
    grads = {name: _array(rows, lambda x: x.grad) for name, rows in inside.weights.items()}
    moves = {name: np.subtract(later.weights[name], rows) for name, rows in saved.weights.items()}
    first = [index - index % WINDOW for index in (row, column)]
    part = tuple(slice(start, start + WINDOW) for start in first)
    products = inside.products.get(matrix, ())  # none for embeddings, which are looked up
    return {
        "loss": losses[0] / sum(counted),
        "bits_before": losses[0] / math.log(2),
        "bits_after": losses[1] / math.log(2),
        "optimizer": saved.config.optimizer,
        "weight_decay": saved.config.weight_decay,
        "lr": saved.config.lr,
        "counted": counted,
        "gradients": {} if position is None else inside.at(position, lambda x: x.grad),
        "weight": {
            "matrix": matrix,
            "row": row,
            "column": column,
            "value": saved.weights[matrix][row][column],
            "gradient": grads[matrix][row, column],
            "move": moves[matrix][row, column],
            "factors": [[x[column].data, y[row].grad] for x, y in products],
            "first": first,
            "gradients": grads[matrix][part].tolist(),
            "moves": moves[matrix][part].tolist(),
        },
    }


def _array(rows: Any, of: Any) -> Any:
    return np.array([[of(x) for x in row] for row in rows])


def _flat(saved: SavedModel) -> list[float]:
    return [x for rows in saved.weights.values() for row in rows for x in row]
