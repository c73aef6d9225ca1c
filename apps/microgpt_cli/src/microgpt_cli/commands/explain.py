"""`microgpt explain`: what a model predicted at each position of a text."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt.config import N_ALTERNATIVES
from microgpt.errors import ConfigError
from microgpt_cli.charts import CHART_HELP, check_kinds, check_plots, write_chart
from microgpt_cli.terminal.options import (
    AS_JSON,
    GIVEN_MODEL,
    argument,
    flag,
    option,
)
from microgpt_cli.terminal.progress import load_kernels

if TYPE_CHECKING:
    from microgpt.evaluation.edits import Head, WeightEdit, WeightName

PLACE = r"([\w.]+)\[(\d{1,9}), *(\d{1,9})\]"
WEIGHT = re.compile(PLACE + r" *(\*?)= *(\S+)", re.ASCII)


def explain(
    model: Path = GIVEN_MODEL,
    text: list[str] = argument(
        ...,
        "Text. For a chat model, messages that alternate between the user and the assistant.",
        "TEXT",
    ),
    top: int = option(N_ALTERNATIVES, "Number of likely tokens to show at a position.", min=0),
    attention: list[str] | None = option(
        None,
        "Also show the attention weights of a head, such as 0.1 for head 1 of layer 0; can be "
        "repeated.",
        metavar="LAYER.HEAD",
    ),
    position: int | None = option(
        None,
        "Also show all activations at this position: 0 is the first token, -1 the last.",
    ),
    parts: bool = flag("--parts", "Also show the text without each head and each MLP (ablation)."),
    backward: str | None = option(
        None,
        "Also show a training step on the text: the gradient and the move of each matrix, and why "
        "this weight moves.",
        metavar="NAME[ROW,COLUMN]",
    ),
    without_head: list[str] | None = option(
        None,
        "Switch off a head: its output is zero. Can be repeated, as can the options below.",
        metavar="LAYER.HEAD",
    ),
    without_mlp: list[int] | None = option(None, "Switch off the MLP of this layer.", min=0),
    without_position: list[int] | None = option(
        None, "Switch off the embedding of this position.", min=0
    ),
    weight: list[str] | None = option(
        None,
        "Change a weight: wte[0,3]=0.5 sets it, wte[0,3]*=2 multiplies it.",
        metavar="NAME[ROW,COLUMN]=VALUE",
    ),
    plot: list[Path] | None = option(None, CHART_HELP, metavar="<path>"),
    as_json: bool = AS_JSON,
) -> None:
    """Explain what a model predicted at each position of a text.

    For each token: the probability that the model gave to it, the surprise in bits (minus the
    binary logarithm of the probability), and the most likely tokens. The last line is the end of
    the text, which a model of running text does not predict.
    """
    heads = [_head(name, "--attention") for name in attention or ()]
    off = [_head(name, "--without-head") for name in without_head or ()]
    changes = [_change(text) for text in weight or ()]
    place = None if backward is None else _place(backward)
    check_kinds(plot or ())

    from microgpt.evaluation import explanation
    from microgpt.evaluation.edits import Edits
    from microgpt.inference import InferenceGpt
    from microgpt_cli.explanation import document_of, print_explanation
    from microgpt_cli.model_loading import load_model

    saved = load_model(model)
    doc = document_of(text, is_chat=saved.tokenizer.is_chat)
    load_kernels("compiled", saved.dtype, uses=["evaluation"])
    result = explanation.explain(
        InferenceGpt(saved),
        doc,
        n_alternatives=top,
        attention=heads,
        position=position,
        ablations=parts,
        backward=place,
        text_kind=saved.text,
        edits=Edits(off, without_mlp or (), without_position or (), changes),
    )
    if plot:
        check_plots()
        from microgpt_report.charts import explanation as chart

        write_chart(chart.draw(result), plot)
    if as_json:
        print(json.dumps(result.facts()))
        return
    print_explanation(result)


def _head(name: str, flag: str) -> "Head":
    layer, _, head = name.partition(".")
    if layer.isascii() and head.isascii() and layer.isdigit() and head.isdigit():
        return int(layer), int(head)
    raise ConfigError(f"{flag} must be LAYER.HEAD, such as 0.1, got {name!r:.40}")


def _place(text: str) -> "WeightName":
    if match := re.fullmatch(PLACE, text, re.ASCII):
        return match[1], int(match[2]), int(match[3])
    raise ConfigError(f"--backward must be like wte[0,3], got {text!r:.60}")


def _change(text: str) -> "WeightEdit":
    from microgpt.evaluation.edits import WeightEdit

    match = WEIGHT.fullmatch(text)
    try:
        assert match
        name, row, column, times, number = match.groups()
        kind = "factor" if times else "value"
        return WeightEdit(name, int(row), int(column), **{kind: float(number)})
    except (AssertionError, ValueError):
        raise ConfigError(
            f"--weight must be like wte[0,3]=0.5 or wte[0,3]*=2, got {text!r:.60}"
        ) from None
