"""`microgpt eval`: held-out loss and exact-match score on a file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import Document, HeldOutLoss, Item, SavedModel, Tokenizer


@examples("microgpt eval my-model --data held-out.txt")
def evaluate(
    data: Path = opt.option(
        ...,
        f"{opt.TEXT_HELP}, or one running text if the model was trained with --text stream; for a "
        "chat model, JSONL, one conversation per line, or an exported chat.",
    ),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    column: str | None = opt.COLUMN,
    me: str | None = opt.ME,
    separator: str | None = opt.SEPARATOR,
    threads: int = opt.THREADS,
    output: list[Path] | None = opt.option(
        None, f"Draw the calibration. {opt.CHART_HELP}", metavar="<path>"
    ),
    as_json: bool = opt.AS_JSON,
) -> None:
    """Measure how well a model predicts a file.

    The loss is in nats and bits per token, including the end of each document. For subword tokens,
    it is also printed in bits per character, to compare tokenizers. Use documents that the model
    was not trained on. Documents longer than the context are read in overlapping windows.

    The calibration says how many of the most likely tokens came, by their probability. Its expected
    error is the mean difference of the two.

    For a chat model, the loss covers only the assistant's tokens. If replies in the file have a
    task, the model generates these replies at temperature 0, and the command prints the share of
    exact matches per task, and errors.
    """
    model_dir = opt.model_of(model, model_option)

    from microgpt import Use
    from microgpt_cli.calibration import draw_calibration, reply_calibration, token_calibration
    from microgpt_cli.charts import check_files, write_chart
    from microgpt_cli.chat_answers import generate_replies, reply_facts, report_lines
    from microgpt_cli.counting import comparison
    from microgpt_cli.model_loading import inference, load_model, note_training_data

    check_files(output or ())
    saved = load_model(model_dir)
    docs, items = _read(data, column, me, separator, saved)
    uses: list[Use] = ["evaluation", "decoding"] if items else ["evaluation"]
    gpt = inference(saved, uses)
    result = gpt.evaluate(docs, text=saved.config.text, threads=threads)
    share = note_training_data(docs, result.contamination, saved, model_dir)
    answers = generate_replies(gpt, items, threads) if items else ()
    calibrations = {"tokens": token_calibration(gpt, docs, saved.config.text)}
    if answers:
        calibrations["replies"] = reply_calibration(gpt, answers)
    if output:
        write_chart(draw_calibration(calibrations), output)
    if as_json:
        facts = {**asdict(result), "bits_per_character": result.bits_per_character}
        del facts["contamination"]  # the share below may also come from hashes
        facts["training_share"] = share
        facts["calibration"] = {name: asdict(each) for name, each in calibrations.items()}
        if answers:
            facts["replies"] = reply_facts(answers) | {"contamination": share}
        print(json.dumps(facts))
        return
    print(*_loss_lines(result, share, gpt.tokenizer), sep="\n")
    print(f"compare:    {comparison(saved)}")
    if answers:
        print(*report_lines(answers, share), sep="\n")
    for name, each in calibrations.items():
        print("", *each.lines(f"most likely {name}"), sep="\n")


def _read(
    data: Path, column: str | None, me: str | None, separator: str | None, saved: "SavedModel"
) -> "tuple[Sequence[Document], Sequence[Item]]":
    """Return the documents of a file, and for a chat model the replies that have a task."""
    from microgpt import ReadOptions, load_chat_tests, load_documents

    if saved.tokenizer.is_chat:
        for flag, value in (("--column", column), ("--separator", separator)):
            if value is not None:
                raise ConfigError(f"{flag} cannot be used with a chat model; omit {flag}")
        exam = load_chat_tests(data, me=me, tell=note)
        return exam.conversations, exam.items
    if me is not None:
        raise ConfigError("--me requires a chat model; omit --me")
    how = ReadOptions(saved.config.text, column, separator=separator)
    found = load_documents(data, how, tell=note)
    return [found] if isinstance(found, str) else found, ()


def _loss_lines(found: "HeldOutLoss", share: float | None, tokenizer: "Tokenizer") -> Iterator[str]:
    """Yield the lines of a report on the loss of documents.

    Args:
        share: share of the documents that the model has read; None if it is unknown.
    """
    from microgpt import bits, mark

    yield f"documents:  {found.n_docs}"
    yield f"tokens:     {found.n_tokens}{' in assistant messages' if tokenizer.is_chat else ''}"
    yield f"loss:       {found.loss:.4f} nats per token ({bits(found.loss):.4f} bits){mark(share)}"
    if tokenizer.kind != "char":
        yield f"characters: {found.n_characters} ({found.bits_per_character:.4f} bits each)"
