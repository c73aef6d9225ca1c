"""`microgpt explain`: what a model predicted at each position of a text."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import N_ALTERNATIVES, ConfigError
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import Head


@examples("microgpt explain my-model queen --plot queen.svg")
def explain(
    model: Path = opt.GIVEN_MODEL,
    text: list[str] = opt.argument(
        ...,
        "Text. For a chat model, messages that alternate between the user and the assistant.",
        "TEXT",
    ),
    top: int = opt.option(N_ALTERNATIVES, "Number of likely tokens to show at a position.", min=0),
    attention: list[str] | None = opt.option(
        None,
        "Also show the attention weights of a head, such as 0.1 for head 1 of layer 0; can be "
        "repeated.",
        metavar="LAYER.HEAD",
    ),
    plot: list[Path] | None = opt.option(None, opt.CHART_HELP, metavar="<path>"),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Explain what a model predicted at each position of a text.

    For each token: the probability that the model gave to it, the surprise in bits (minus the
    binary logarithm of the probability), and the most likely tokens. The last line is the end of
    the text, which a model of running text does not predict.
    """
    heads = [_head(name) for name in attention or ()]

    from microgpt import explain as explain_text
    from microgpt_cli.charts.results import writer
    from microgpt_cli.explanation import document_of, print_explanation
    from microgpt_cli.model_loading import inference, load_model

    write = writer(plot) if plot else None
    saved = load_model(model)
    doc = document_of(text, is_chat=saved.tokenizer.is_chat)
    gpt = inference(saved, ["evaluation"])
    result = explain_text(
        gpt, doc, n_alternatives=top, attention=heads, text_kind=saved.config.text
    )
    if write:
        write(result)
    if as_json:
        print(json.dumps(result.facts()))
        return
    print_explanation(result)


def _head(name: str) -> "Head":
    layer, _, head = name.partition(".")
    if layer.isascii() and head.isascii() and layer.isdigit() and head.isdigit():
        return int(layer), int(head)
    raise ConfigError(f"--attention must be LAYER.HEAD, such as 0.1, got {name!r:.40}")
