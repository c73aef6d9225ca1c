"""`microgpt score`: how much each line of a file or of standard input surprises a model."""

import sys
from heapq import nlargest
from itertools import chain
from pathlib import Path

from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import COLUMN, GIVEN_MODEL, flag, option
from microgpt_cli.terminal.progress import load_kernels


def score(
    model: Path = GIVEN_MODEL,
    data: Path | None = option(None, "Text file.  [default: standard input]", "--data"),
    top: int | None = option(None, "Print only this many lines, the most surprising first.", min=1),
    above: str | None = option(
        None,
        "Print only lines at or above this limit: bits per character, such as 4.5, or a percentile "
        "of a calibrated model, such as 99.9%.",
        metavar="BITS|PERCENT%",
    ),
    calibrate: Path | None = option(
        None,
        "Score the lines of this file, which must be known to be good, and store the "
        "percentiles with the model. No other lines are scored.",
    ),
    column: str | None = COLUMN,
    as_jsonl: bool = flag("--jsonl", "Print a JSON object per line."),
    as_csv: bool = flag("--csv", "Print CSV."),
) -> None:
    """Print how much each line of a file surprises a model.

    The score is in bits per character. It is low if the line resembles the training data.
    Characters that the model does not know cost 20 bits each; their share is printed. In a
    terminal, surprising characters are red. Lines from a pipe are scored as they arrive.
    """
    if as_jsonl and as_csv:
        raise ConfigError("--jsonl cannot be used with --csv; omit one of them")
    if calibrate and (data or top or above or as_jsonl or as_csv):
        raise ConfigError(
            "--calibrate cannot be used with --data, --top, --above, --jsonl or --csv; omit them"
        )

    from microgpt.data.contamination import other_data
    from microgpt.data.folding import FoldingTokenizer, folded
    from microgpt.evaluation.scoring import Scorer
    from microgpt.inference import InferenceGpt
    from microgpt.storage.calibration_file import read_calibration
    from microgpt.storage.document_hashes import read_document_hashes
    from microgpt_cli import scored_lines
    from microgpt_cli.model_loading import load_model

    saved = load_model(model)
    scorer = Scorer(InferenceGpt(saved), text=saved.text)
    known = None if calibrate else read_calibration(model, saved.meta)
    is_printed = scored_lines.threshold(above, known)
    load_kernels("compiled", saved.dtype, uses=["evaluation"])
    path, own, *ancestors = calibrate or data, *saved.trained_on
    is_partial = bool(other_data(own, ancestors))
    trained = read_document_hashes(model, saved.meta)
    if trained is None or is_partial:
        trained = scored_lines.note_training_file(path, column, saved, model, trained)
    if not path and sys.stdin.isatty():
        note("enter lines to score; finish with Ctrl-D")
    lines = scored_lines.count_trained(
        scored_lines.line_batches(path, saved.text, column=column),
        trained,
        is_partial,
        folded if isinstance(saved.tokenizer, FoldingTokenizer) else str,
    )
    if calibrate:
        scored_lines.calibrate(scorer, lines, model, saved.meta)
        return
    batches = scored_lines.scored(scorer, lines, known, is_printed)
    if as_csv:
        print(scored_lines.csv_row(scored_lines.COLUMNS))
    if top:
        every = chain.from_iterable(batches)
        batches = iter([nlargest(top, every, key=lambda line: line.score.bits_per_character)])
    for batch in batches:
        for line in batch:
            print(line.as_json() if as_jsonl else line.as_csv() if as_csv else line.as_text())
        sys.stdout.flush()
