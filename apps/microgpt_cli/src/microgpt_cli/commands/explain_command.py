"""`microgpt explain`: show what a model predicts at each position of a text."""

import math
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from rich.cells import cell_len

from microgpt import N_ALTERNATIVES, ROLES, ConfigError, Document, Explanation, Message, printable
from microgpt import explain as explain_text
from microgpt_cli.model_loading import inference, load_model, note_training_data
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import styled
from microgpt_cli.terminal.help import examples

CLIP = 24  # maximum number of characters of a printed token
BOLD = "1"
LIKELY = ("2", BOLD)  # styles of a likely token: dim, or bold if it is the actual token
# Styles by the maximum surprise of a token in bits: bold in green, the default color, yellow, red.
STYLES = {1: "1;32", 3: BOLD, 6: "1;33", math.inf: "1;31"}
MIN_PROBABILITY = 0.005  # minimum probability of a printed alternative


@examples("microgpt explain emma")
def explain(
    words: list[str] | None = opt.argument(
        None,
        f"{opt.MODEL_THEN} a text. For a chat model, messages that alternate between the user and "
        "the assistant.",
        "[MODEL] TEXT",
    ),
    model: Path | None = opt.MODEL_OR_OUTPUT,
    top: int = opt.option(N_ALTERNATIVES, "Number of likely tokens per position.", min=0),
) -> None:
    """Explain what a model predicts at each position of a text.

    Print each token with its predicted probability, its surprise in bits (minus the binary
    logarithm of the probability), and the most likely tokens. The last line is for the end of the
    text, which a model of running text does not predict.
    """
    text, model = opt.texts_and_model(words, model)
    if not text:
        raise ConfigError("there is no text to explain; pass one after the model")
    model = model or opt.DEFAULT_MODEL_DIR
    saved = load_model(model)
    if saved.tokenizer.is_chat:
        roles = zip(cycle(ROLES), text, strict=False)
        doc: Document = tuple(Message(role, each) for role, each in roles)
    else:
        doc = opt.one_text(text) or ""
    gpt = inference(saved, ["evaluation"])
    result = explain_text(gpt, doc, n_alternatives=top, text_kind=saved.config.text)
    note_training_data([doc], None, saved, model)
    print(*_lines(result), sep="\n")


def style_of(bits: float) -> str:
    """Return the ANSI style for a token whose surprise is `bits`."""
    return next(style for limit, style in STYLES.items() if bits <= limit)


def _lines(explanation: Explanation) -> Iterator[str]:
    """Yield a line for each scored token, and a line with the total surprise."""
    scored = explanation.scored
    width = max((cell_len(_shown(each.text)) for each in scored), default=0)
    for each in scored:
        label = _shown(each.text)
        likely = [
            styled(f"{_shown(one.text)} {one.probability:.0%}", LIKELY[one.token == each.token])
            for one in each.alternatives
            if one.probability >= MIN_PROBABILITY
        ]
        padding = " " * (width - cell_len(label))
        figures = f"{padding}  {each.probability:>7.2%}  {each.bits:5.1f} bits"
        yield "  ".join([styled(label, style_of(each.bits)) + figures, "", *likely])
    bits = explanation.bits
    yield f"{bits:.1f} bits in all, {bits / max(len(scored), 1):.2f} per token"


def _shown(text: str) -> str:
    """Return the text of a token, shortened and escaped, with "␣" in place of spaces."""
    return printable(text, CLIP).replace(" ", "␣")
