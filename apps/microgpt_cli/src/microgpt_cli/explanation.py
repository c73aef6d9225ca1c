"""Print an explanation: tokens, probabilities and attention weights."""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle

from rich.cells import cell_len

from microgpt import ROLES, ConfigError, Document, Explanation, Message, printable
from microgpt_cli.terminal.console import styled

CLIP = 24  # maximum number of characters of a token
BOLD, DIM = "1", "2"
# Styles of tokens by the maximum bits of surprise: bold in green, the default color, yellow, red.
STYLES = {1: "1;32", 3: BOLD, 6: "1;33", math.inf: "1;31"}
SHADES = " ░▒▓█"  # they show attention weights from 0 to 1
LEAST = 0.005  # minimum probability of a printed alternative


def print_explanation(explanation: Explanation) -> None:
    """Print a line per token, then the attention weights if there are any."""
    for line in _predictions(explanation):
        print(line)
    n = len(explanation.scored)
    print(f"{explanation.bits:.1f} bits in all, {explanation.bits / max(n, 1):.2f} per token")
    for (layer, head), rows in explanation.attention.items():  # a row per query, a shade per key
        print(f"\nattention of layer {layer}, head {head}")
        for label, row in zip(_aligned(explanation.read), rows, strict=True):
            shades = (2 * SHADES[round(weight * (len(SHADES) - 1))] for weight in row)
            print(f"{label}  {''.join(shades)}")


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


def _aligned(tokens: Sequence[str]) -> list[str]:
    """Return tokens as they are printed, padded to the same width in columns."""
    labels = [_shown(token) for token in tokens]
    width = max(map(cell_len, labels), default=0)
    return [label + " " * (width - cell_len(label)) for label in labels]


def _shown(text: str) -> str:
    """Return a token, escaped; a space is shown as "␣"."""
    return printable(text, CLIP).replace(" ", "␣")
