"""`microgpt score`: how much each line of a file or of standard input surprises a model."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from heapq import nlargest
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt.amounts import count
from microgpt.errors import ConfigError, DataError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import MODEL_HELP, Column, Unfinished, argument, flag, option
from microgpt_cli.terminal.progress import load_kernels

if TYPE_CHECKING:
    from microgpt.evaluation.scoring import Scorer
    from microgpt.storage.calibration_file import Calibration
    from microgpt.storage.document_hashes import DocumentHashes
    from microgpt.storage.meta import Meta
    from microgpt.storage.model_directory import SavedModel
    from microgpt_cli.scored_lines import Batch, ScoredLine


def score(
    model: Path = argument(..., MODEL_HELP, "MODEL"),
    data: Path | None = option(None, "Text file.  [default: standard input]", "--data"),
    top: int | None = option(None, "Print only this many lines, the most surprising first.", min=1),
    above: str | None = option(
        None,
        "Print only lines with at least this many bits per character, such as 4.5; or at least "
        "this percentile, such as 99.9%, of a calibrated model.",
        metavar="BITS|PERCENT%",
    ),
    calibrate: Path | None = option(
        None,
        "Score the lines of this file, which are known to be good, and keep their percentiles with "
        "the model. No other lines are scored.",
    ),
    column: Column = None,
    unfinished: Unfinished = False,
    as_jsonl: bool = flag("--jsonl", "Print a JSON object per line."),
    as_csv: bool = flag("--csv", "Print CSV."),
) -> None:
    """Score how much each line of a file surprises a model.

    The score is in bits per character. It is low if the line is like the training data. Characters
    that the model does not know cost 20 bits each; their share is printed. In a terminal,
    surprising characters are red. Lines from a pipe are scored as they arrive.
    """
    if as_jsonl and as_csv:
        raise ConfigError("--jsonl cannot be used with --csv; omit one of them")
    if calibrate and (data or top or above or as_jsonl or as_csv):
        raise ConfigError("--calibrate cannot be used with other options than --column; omit them")

    from microgpt.data.contamination import other_data
    from microgpt.evaluation.scoring import Scorer
    from microgpt.inference import InferenceGpt
    from microgpt.storage.calibration_file import read_calibration
    from microgpt.storage.document_hashes import read_document_hashes
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.scored_lines import COLUMNS, csv_row, line_batches

    saved = load_model(model, unfinished=unfinished)
    scorer = Scorer(InferenceGpt(saved), text=saved.text)
    known = None if calibrate else read_calibration(model, saved.meta)
    is_printed = _threshold(above, known)
    load_kernels("compiled", saved.dtype, uses=["evaluation"])
    trained = read_document_hashes(model, saved.meta)
    path, own, *ancestors = calibrate or data, *saved.trained_on
    is_partial = bool(other_data(own, ancestors))
    if (trained is None or is_partial) and path and os.path.isfile(path):
        _note_training_file(path, column, saved, model)
        trained = None
    if calibrate:
        good = _counted(line_batches(calibrate, saved.text, column=column), trained, is_partial)
        _calibrate(scorer, good, model, saved.meta)
        return
    if data is None and sys.stdin.isatty():
        note("enter lines to score; finish with Ctrl-D")
    lines = _counted(line_batches(data, saved.text, column=column), trained, is_partial)
    batches = _scored(scorer, lines, known, is_printed)
    if as_csv:
        print(csv_row(COLUMNS))
    if top:
        every = chain.from_iterable(batches)
        batches = iter([nlargest(top, every, key=lambda line: line.score.bits_per_character)])
    for batch in batches:
        for line in batch:
            print(line.as_json() if as_jsonl else line.as_csv() if as_csv else line.as_text())
        sys.stdout.flush()


def _note_training_file(path: Path, column: str | None, saved: "SavedModel", model: Path) -> None:
    """Print a note if a model was trained on the file, or may have been."""
    from microgpt.data.documents import load_documents
    from microgpt_cli.model_loading import note_training_data

    with suppress(DataError):  # an empty file has no lines to score
        docs = load_documents(
            path, text=saved.text, column=column, chat=False, check=False, tell=note
        )
        note_training_data([docs] if isinstance(docs, str) else docs, saved, model)


def _counted(
    batches: "Iterator[Batch]", trained: "DocumentHashes | None", is_partial: bool
) -> "Iterator[Batch]":
    """Yield the lines; at the end, print a note on those that the model was trained on.

    It is a minimum if the hashes are partial: without other data of the model's ancestors.
    """
    n_lines = n_trained = 0
    for batch in batches:
        yield batch
        n_lines += len(batch)
        n_trained += sum(line in trained for line in batch.values()) if trained else 0
    if n_trained:
        at_least = "at least " if is_partial else ""
        what = f"{at_least}{n_trained:,} of {count(n_lines, 'line')} are training data"
        note(f"{what}; their scores are lower than those of new lines")


def _threshold(above: str | None, calibration: "Calibration | None") -> Callable[[float], bool]:
    """Return whether --above prints a line, as a function of its bits per character."""
    if above is None:
        return lambda bits: True
    is_percentile = above.endswith("%")
    try:
        number = float(above.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (is_percentile and not 0 <= number <= 100):
        raise ConfigError(f"--above must be a number such as 4.5 or 99.9%, got {above!r:.40}")
    if not is_percentile:
        return lambda bits: bits >= number
    if calibration is None:
        raise ConfigError(
            "--above with a percentage requires a calibrated model; use --calibrate first"
        )
    return lambda bits: calibration.percentile(bits) >= number


def _calibrate(scorer: "Scorer", batches: "Iterator[Batch]", model: Path, meta: "Meta") -> None:
    """Write the calibration of a model by good lines, and print some percentiles."""
    from microgpt.storage.calibration_file import N_STEPS, Calibration

    scores = (scorer.score(batch.values()).bits_per_character.tolist() for batch in batches)
    calibration = Calibration.of(list(chain.from_iterable(scores)), meta)
    calibration.write(model)
    middle, high, higher = (calibration.quantiles[i] for i in (500, 990, 999))
    print(
        f"{calibration.n_texts:,} lines: half have at most {middle:.2f} bits per character, 99 % "
        f"at most {high:.2f}, 99.9 % at most {higher:.2f}"
    )
    n = calibration.n_texts
    if n < N_STEPS:
        note(
            f"{count(n, 'line')} cannot tell percentiles above {100 * (1 - 1 / n):.4g} %; "
            f"use {N_STEPS:,} or more for 99.9 %"
        )


def _scored(
    scorer: "Scorer",
    batches: "Iterator[Batch]",
    calibration: "Calibration | None",
    is_printed: Callable[[float], bool],
) -> "Iterator[list[ScoredLine]]":
    """Yield the lines to print, in batches."""
    from microgpt_cli.scored_lines import ScoredLine

    for batch in batches:
        scores = scorer.score(batch.values())
        lines = []
        for i, (number, bits) in enumerate(
            zip(batch, scores.bits_per_character.tolist(), strict=True)
        ):
            if is_printed(bits):
                percentile = calibration.percentile(bits) if calibration else None
                lines.append(ScoredLine(number, scores[i], percentile))
        yield lines
