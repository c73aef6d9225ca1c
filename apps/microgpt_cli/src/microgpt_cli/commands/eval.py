"""`microgpt eval`: held-out loss and exact-match score on a file."""

import json
from dataclasses import asdict
from pathlib import Path

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples


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
    as_json: bool = opt.AS_JSON,
) -> None:
    """Measure how well a model predicts a file.

    The loss is in nats and bits per token, including the end of each document. For subword tokens,
    it is also printed in bits per character, to compare tokenizers. Use documents that the model
    was not trained on. Documents longer than the context are read in overlapping windows.

    For a chat model, the loss covers only the assistant's tokens. If replies in the file have a
    task, the model generates these replies at temperature 0, and the command prints the share of
    exact matches per task, and errors.
    """
    model_dir = opt.one_of(model, model_option, "--model") or opt.DEFAULT_MODEL_DIR

    from microgpt import Use
    from microgpt_cli import evaluation
    from microgpt_cli.model_loading import inference, load_model, note_training_data

    saved = load_model(model_dir)
    docs, items = evaluation.read_file(data, column, me, separator, saved)
    uses: list[Use] = ["evaluation", "decoding"] if items else ["evaluation"]
    gpt = inference(saved, uses)
    result = gpt.evaluate(docs, text=saved.config.text, threads=threads)
    share = note_training_data(docs, result.contamination, saved, model_dir)
    answers = evaluation.generate_replies(gpt, items, threads) if items else ()
    if as_json:
        facts = {**asdict(result), "bits_per_character": result.bits_per_character}
        del facts["contamination"]  # the share below may also come from hashes
        facts["training_share"] = share
        if answers:
            facts["replies"] = evaluation.reply_facts(answers) | {"contamination": share}
        print(json.dumps(facts))
        return
    for line in evaluation.loss_lines(result, share, gpt.tokenizer):
        print(line)
    for line in evaluation.report_lines(answers, share) if answers else ():
        print(line)
