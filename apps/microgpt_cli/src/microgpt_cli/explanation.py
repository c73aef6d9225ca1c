"""Print an explanation: tokens, probabilities, attention weights and activations."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from microgpt.evaluation.explanation import Explanation
from microgpt.printable import printable

CLIP = 24  # maximum width of a token, in columns
STYLES = {1: "green", 3: "", 6: "yellow"}  # of tokens with up to so many bits of surprise
SURPRISE = "red"  # with more
SHADES = " ░▒▓█"  # of attention weights from 0 to 1
LEAST = 0.005  # minimum probability of a printed alternative
N_NUMBERS = 6  # number of activations printed per vector


def print_explanation(explanation: Explanation) -> None:
    """Print a line per token, then attention and activations if there are any."""
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for prediction in _predictions(explanation):
        console.print(prediction)
    n = len(explanation.predictions)
    console.print(f"{explanation.bits:.1f} bits in all, {explanation.bits / n:.2f} per token")
    for (layer, head), rows in explanation.attention.items():
        console.print(f"\nattention of layer {layer}, head {head}")
        for line in _map(explanation.read, rows):
            console.print(line)
    if explanation.activations:
        console.print()
        for line in _numbers(explanation.activations):
            console.print(line)


def _predictions(explanation: Explanation) -> Iterator[Text]:
    labels = [_shown(each.text) for each in explanation.predictions]
    width = max(map(cell_len, labels))
    for each, label in zip(explanation.predictions, labels, strict=True):
        style = next((style for limit, style in STYLES.items() if each.bits <= limit), SURPRISE)
        line = Text()
        line.append(label, style=f"bold {style}".strip())
        line.append(" " * (width - cell_len(label)))
        line.append(f"  {each.probability:>7.2%}  {each.bits:5.1f} bits  ")
        for one in each.alternatives:
            if one.probability < LEAST:
                break
            came = "bold" if one.token == each.token else "dim"
            line.append(f"  {_shown(one.text)} {one.probability:.0%}", style=came)
        yield line


def _map(read: Sequence[str], rows: Sequence[Sequence[float]]) -> Iterator[str]:
    """Yield a line per query with a shade per key."""
    labels = [_shown(each) for each in read]
    width = max(map(cell_len, labels))
    for label, row in zip(labels, rows, strict=True):
        shades = "".join(2 * SHADES[round(weight * (len(SHADES) - 1))] for weight in row)
        yield f"{label}{' ' * (width - cell_len(label))}  {shades}"


def _numbers(activations: dict[str, list[float] | list[list[float]]]) -> Iterator[str]:
    """Yield a line per vector, and per head for attention weights."""
    width = max(map(len, activations))
    for name, values in activations.items():
        for i, row in enumerate(values):
            if not isinstance(row, list):
                break
            yield f"{f'{name}, head {i}':<{width}}  {_few(row)}"
        else:
            continue
        yield f"{name:<{width}}  {_few(values)}"  # type: ignore[arg-type]


def _few(numbers: Sequence[float]) -> str:
    rest = len(numbers) - N_NUMBERS
    few = " ".join(f"{number:7.3f}" for number in numbers[:N_NUMBERS])
    return few + f"  … {rest} more" * (rest > 0)


def _shown(text: str) -> str:
    """Return a token, escaped; a space is shown as "␣"."""
    return printable(text, CLIP).replace(" ", "␣")
