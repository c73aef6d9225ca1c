"""`microgpt score`: measure how much each line of a text surprises a model."""

import json
import sys
from collections.abc import Iterable
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import Score, TextKind

BATCH = 1000  # number of lines that are scored at once; limits memory use


@examples("microgpt score --data data/names.txt --top 20")
def score(
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    data: Path | None = opt.option(None, "Text file.  [default: standard input]", "--data"),
    top: int | None = opt.option(
        None, "Print only this many lines, the most surprising first.", min=1
    ),
    column: str | None = opt.COLUMN,
    as_jsonl: bool = opt.flag("--jsonl", "Print a JSON object per line."),
) -> None:
    """Print how much each line of a file surprises a model.

    The score is in bits per character. It is low if the line resembles the training data.
    Each unknown character adds 20 bits; the fraction of unknown characters is printed.
    """
    from microgpt import score_texts
    from microgpt_cli.model_loading import inference, load_model, note_training_data

    if column is not None and data is None:
        raise ConfigError("--column requires a file; add --data or omit --column")
    model_dir = opt.model_of(model, model_option)
    saved = load_model(model_dir)
    gpt = inference(saved, ["evaluation"])
    if not data and sys.stdin.isatty():
        note("enter lines to score; finish with Ctrl-D")
    lines = _lines(data, column, saved.config.text)
    note_training_data([text for _, text in lines], None, saved, model_dir)
    scored: list[tuple[int, Score]] = []
    for i in range(0, len(lines), BATCH):
        numbers, texts = zip(*lines[i : i + BATCH], strict=True)
        scored += zip(numbers, score_texts(gpt, texts, text=saved.config.text), strict=True)
    if top:
        scored = nlargest(top, scored, key=lambda one: one[1].bits_per_character)
    for number, score in scored:
        print(_as_json(number, score) if as_jsonl else _as_text(score))


def _lines(path: Path | None, column: str | None, text: "TextKind") -> list[tuple[int, str]]:
    """Return numbered texts: lines of stdin or a text file, or documents of a structured file.

    As in training, surrounding white space is removed unless the model was trained on running text.
    Empty lines are omitted.
    """
    from microgpt import ReadOptions, TextFile, read_by_kind

    read: Iterable[object] = (line.rstrip("\n") for line in sys.stdin)
    if path:
        file = TextFile(path, is_strict=False)
        found = read_by_kind(file, ReadOptions("lines", column), note)
        read = file if found is None else found
    lines = [*map(str, read)]
    if text == "lines":
        lines = [line.strip() for line in lines]
    return [(number, line) for number, line in enumerate(lines, start=1) if line]


def _as_text(score: "Score") -> str:
    """Format a score, the fraction of unknown characters and the text, escaped for a terminal."""
    remarks = [f"({score.n_unknown / len(score.text):.0%} unknown)"] if score.n_unknown else []
    # A field of a table can contain line breaks, but each score must be printed on one line.
    line = terminal_safe(score.text).replace("\n", " ")
    return "  ".join([f"{score.bits_per_character:6.2f}", *remarks, line])


def _as_json(number: int, score: "Score") -> str:
    facts = {"line": number, **score._asdict(), "bits_per_character": score.bits_per_character}
    return json.dumps(facts)
