"""`microgpt score`: how much each line of a file or of standard input surprises a model."""

import sys
from heapq import nlargest
from itertools import chain
from pathlib import Path

from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import COLUMN, GIVEN_MODEL, flag, option


@examples(
    "microgpt score my-model --data lines.txt --top 20",
    "tail -f app.log | microgpt score my-model --above 4",
)
def score(
    model: Path = GIVEN_MODEL,
    data: Path | None = option(None, "Text file.  [default: standard input]", "--data"),
    top: int | None = option(None, "Print only this many lines, the most surprising first.", min=1),
    above: float | None = option(None, "Print only lines with at least this many bits."),
    column: str | None = COLUMN,
    as_jsonl: bool = flag("--jsonl", "Print a JSON object per line."),
) -> None:
    """Print how much each line of a file surprises a model.

    The score is in bits per character. It is low if the line resembles the training data.
    Characters that the model does not know cost 20 bits each; their share is printed. In a
    terminal, surprising characters are red. Lines from a pipe are scored as they arrive.
    """
    from microgpt import Scorer
    from microgpt_cli import scored_lines
    from microgpt_cli.model_loading import inference, load_model

    saved = load_model(model)
    scorer = Scorer(inference(saved, ["evaluation"]), text=saved.config.text)
    trained = scored_lines.training_hashes(saved, model)
    if not data and sys.stdin.isatty():
        note("enter lines to score; finish with Ctrl-D")
    lines = scored_lines.line_batches(data, saved.config.text, column=column)
    batches = scored_lines.scored(scorer, lines, above, trained)
    if top:
        every = chain.from_iterable(batches)
        batches = iter([nlargest(top, every, key=lambda line: line.score.bits_per_character)])
    for batch in batches:
        for line in batch:
            print(line.as_json() if as_jsonl else line.as_text())
        sys.stdout.flush()
