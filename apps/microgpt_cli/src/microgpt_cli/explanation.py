"""Print an explanation: tokens, probabilities, attention weights and activations."""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle

from rich.cells import cell_len

from microgpt.data.tokenizer import ROLES, Document, Message
from microgpt.errors import ConfigError
from microgpt.evaluation.backward import Backward
from microgpt.evaluation.explanation import Explanation
from microgpt.printable import printable
from microgpt_cli.terminal.console import styled

CLIP = 24  # maximum number of characters of a token
BOLD, DIM = "1", "2"
# Styles of tokens by the maximum bits of surprise: bold in green, the default color, yellow, red.
STYLES = {1: "1;32", 3: BOLD, 6: "1;33", math.inf: "1;31"}
SHADES = " ░▒▓█"  # of attention weights from 0 to 1
LEAST = 0.005  # minimum probability of a printed alternative
N_NUMBERS = 6  # number of activations printed per vector


def print_explanation(explanation: Explanation) -> None:
    """Print a line per token, then attention and activations if there are any."""
    for line in _predictions(explanation):
        print(line)
    n = len(explanation.scored)
    print(f"{explanation.bits:.1f} bits in all, {explanation.bits / max(n, 1):.2f} per token")
    for (layer, head), rows in explanation.attention.items():  # a row per query, a shade per key
        print(f"\nattention of layer {layer}, head {head}")
        for label, row in zip(_aligned(explanation.read), rows, strict=True):
            shades = (2 * SHADES[round(weight * (len(SHADES) - 1))] for weight in row)
            print(f"{label}  {''.join(shades)}")
    if explanation.activations:
        print()
        for line in _numbers(explanation.activations):
            print(line)
    if explanation.ablations:
        print()
        for line in _parts(explanation):
            print(line)
    if explanation.backward:
        print()
        for line in _backward(explanation.backward, explanation.read):
            print(line)


def document_of(texts: Sequence[str], *, is_chat: bool) -> Document:
    """Return a text, or a conversation that begins with the user; refuse several texts."""
    if is_chat:
        return tuple(Message(role, text) for role, text in zip(cycle(ROLES), texts, strict=False))
    if len(texts) > 1:
        raise ConfigError(
            f"{len(texts)} texts are given, but the model is not a chat model; pass one text in "
            "quotation marks"
        )
    return texts[0]


def _predictions(explanation: Explanation) -> Iterator[str]:
    labels = _aligned([each.text for each in explanation.scored])
    for each, label in zip(explanation.scored, labels, strict=True):
        style = next(style for limit, style in STYLES.items() if each.bits <= limit)
        likely = [
            styled(
                f"{_shown(one.text)} {one.probability:.0%}",
                BOLD if one.token == each.token else DIM,
            )
            for one in each.alternatives
            if one.probability >= LEAST
        ]
        figures = f"{each.probability:>7.2%}  {each.bits:5.1f} bits"
        yield "  ".join([styled(label, style), figures, "", *likely])


def _numbers(activations: dict[str, list[float] | list[list[float]]]) -> Iterator[str]:
    """Yield a line per vector, and per head for attention weights."""
    vectors: dict[str, Sequence[float]] = {}
    for name, values in activations.items():
        heads = {f"{name}, head {i}": row for i, row in enumerate(values) if isinstance(row, list)}
        vectors |= heads or {name: values}  # type: ignore[arg-type]
    width = max(map(len, vectors))
    for name, numbers in vectors.items():
        rest = len(numbers) - N_NUMBERS
        few = " ".join(f"{number:7.3f}" for number in numbers[:N_NUMBERS])
        yield f"{name:<{width}}  {few}{f'  … {rest} more' if rest > 0 else ''}"


def _parts(explanation: Explanation) -> Iterator[str]:
    """Yield a line per head and MLP: the change in bits without it, and in probabilities."""
    for each in explanation.ablations:
        name = "MLP   " if each.head is None else f"head {each.head}"
        line = f"without {name} of layer {each.layer}  {each.bits_without - each.bits:+6.1f} bits"
        for word, changes in (("raises", each.raised), ("lowers", each.lowered)):
            tokens = (
                f"{_shown(one.text)} {one.without:.0%}→{one.probability:.0%}"
                for one in changes
                if abs(one.probability - one.without) >= LEAST
            )
            if found := "  ".join(tokens):
                line += f"   {word} {found}"
        yield line


def _backward(found: Backward, read: Sequence[str]) -> Iterator[str]:
    """Yield the effect of a training step on the text, on each matrix and on one weight."""
    weight = found.weight
    yield (
        f"one step of {found.optimizer} with learning rate {found.lr:g}: the text takes "
        f"{found.bits_before:.1f} bits before, {found.bits_after:.1f} after"
    )
    width = max(map(len, found.matrices))
    yield f"{'':{width}}  gradient      move (root mean square)"
    for name, one in found.matrices.items():
        yield f"{name:<{width}}  {one.gradient:8.5f}  {one.move:8.5f}"
    place = f"{weight.matrix}[{weight.row},{weight.column}]"
    yield (
        f"{place} is {weight.value:.4f} and moves by {weight.move:+.5f}; its gradient is "
        f"{weight.gradient:.5f}, the sum of input times gradient of the output:"
    )
    labels = _aligned(read)
    for i, (input, output) in enumerate(weight.factors):
        yield f"{labels[i % len(labels)]}  {input:z8.4f} × {output:z8.5f} = {input * output:z9.6f}"


def _aligned(tokens: Sequence[str]) -> list[str]:
    """Return tokens as they are printed, padded to the same width in columns."""
    labels = [_shown(token) for token in tokens]
    width = max(map(cell_len, labels), default=0)
    return [label + " " * (width - cell_len(label)) for label in labels]


def _shown(text: str) -> str:
    """Return a token, escaped; a space is shown as "␣"."""
    return printable(text, CLIP).replace(" ", "␣")
