"""`microgpt eval`: measure held-out loss and exact matches on a file."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import ConfigError
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import Document, Item, SavedModel


@examples("microgpt eval --data data/names.txt")
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
    was not trained on. Other such documents would change the loss by about its standard error.

    The calibration compares the probability of the most likely tokens with how often these tokens
    are right. For a chat model, the loss covers only the assistant's tokens. If replies in the file
    have a field `task`, the model generates these replies at temperature 0, and the command prints
    errors and the fraction of exact matches per task.
    """
    model_dir = opt.model_of(model, model_option)

    from microgpt import bits, mark
    from microgpt_cli import calibration
    from microgpt_cli.baselines import comparison, standard_error
    from microgpt_cli.charts import check_files, write_chart
    from microgpt_cli.chat_answers import ChatAnswers, generate_replies
    from microgpt_cli.model_loading import inference, load_model, note_training_data

    check_files(output or ())
    saved = load_model(model_dir)
    docs, items = _read(data, column, me, separator, saved)
    gpt = inference(saved, ["evaluation", "decoding"] if items else ["evaluation"])
    result = gpt.evaluate(docs, text=saved.config.text, threads=threads)
    share = note_training_data(docs, result.contamination, saved, model_dir)
    answers = generate_replies(gpt, items, threads) if items else ()
    measured = calibration.measure_tokens(gpt, docs, saved.config.text)
    error = standard_error(measured[:, 2], docs, saved.tokenizer, saved.config.text)
    calibrations = {"tokens": calibration.Calibration.from_pairs(measured[:, :2])}
    if answers:
        calibrations["replies"] = calibration.reply_calibration(gpt, answers)
    if output:
        write_chart(calibration.draw_calibration(calibrations), output)
    if as_json:
        facts = {**asdict(result), "bits_per_character": result.bits_per_character}
        facts |= {"standard_error": error, "training_share": share}
        del facts["contamination"]  # replaced by training_share, which also uses document hashes
        facts["calibration"] = {name: asdict(each) for name, each in calibrations.items()}
        facts |= ChatAnswers(answers, share).facts() if answers else {}
        print(json.dumps(facts))
        return
    where = " in assistant messages" if saved.tokenizer.is_chat else ""
    print(f"documents:  {result.n_docs}\ntokens:     {result.n_tokens}{where}")
    spread = "" if error is None else f", standard error over documents {error:.4f}"
    in_bits = f"({bits(result.loss):.4f} bits){spread}{mark(share)}"
    print(f"loss:       {result.loss:.4f} nats per token {in_bits}")
    if saved.tokenizer.kind != "char":
        print(f"characters: {result.n_characters} ({result.bits_per_character:.4f} bits each)")
    print(f"compare:    {comparison(saved)}")
    if answers:
        print("", *ChatAnswers(answers, share).lines(), sep="\n")
    for name, each in calibrations.items():
        print("", *each.lines(f"most likely {name}"), sep="\n")


def _read(
    data: Path, column: str | None, me: str | None, separator: str | None, saved: "SavedModel"
) -> "tuple[Sequence[Document], Sequence[Item]]":
    """Return the documents of a file and, for a chat model, its test items: replies with a task."""
    from microgpt import ReadOptions, load_chat_tests, load_documents

    is_chat = saved.tokenizer.is_chat
    excluded = {"--column": column, "--separator": separator} if is_chat else {"--me": me}
    for flag, value in excluded.items():
        if value is not None:
            kind = "a chat model" if is_chat else "a text model"
            raise ConfigError(f"{flag} cannot be used with {kind}; omit {flag}")
    if is_chat:
        exam = load_chat_tests(data, me=me, tell=note)
        return exam.conversations, exam.items
    how = ReadOptions(saved.config.text, column, separator=separator)
    found = load_documents(data, how, tell=note)
    return [found] if isinstance(found, str) else found, ()
