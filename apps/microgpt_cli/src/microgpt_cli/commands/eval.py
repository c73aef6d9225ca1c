"""`microgpt eval`: how well a model predicts a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from microgpt.config import check_threads
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import AsJson, Threads
from microgpt_cli.terminal.progress import followed

if TYPE_CHECKING:
    from microgpt.data.conversation_file import Item
    from microgpt.data.tokenizer import Document
    from microgpt.evaluation.exact_match import Answer
    from microgpt.inference import InferenceGpt
    from microgpt.training.engines import Use


def evaluate(
    model_dir: Annotated[Path, typer.Argument(help="Directory of the model.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option(
            help="UTF-8 text, a document a line, or running text if the model has learnt such; for "
            "a chat model, JSONL, a conversation a line.",
            show_default=False,
        ),
    ],
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Print how well a model predicts a file: nats and bits a token, the end of each included.

    With subword tokens also bits a character, by which models with different tokens compare.

    Give it documents that the model has not learnt from. One that is longer than the context is
    read in overlapping windows. Of conversations the tokens of the assistant count. Replies that
    name a task in the file are asked for at temperature 0 and compared: how many are exact, task
    by task, and what was said instead.
    """
    check_threads(threads)

    from microgpt.data.conversation_file import load_exam
    from microgpt.data.dataset import load_stream, load_text
    from microgpt.evaluation.held_out_loss import bits
    from microgpt.inference import InferenceGpt
    from microgpt.storage.model_directory import load
    from microgpt.training.engines import prepare_engine
    from microgpt_cli.data_report.exact_match_page import as_facts, page

    saved = load(model_dir)
    text = saved.text
    docs: Sequence[Document]
    items: Sequence[Item] = ()
    if saved.tokenizer.is_chat:
        exam = load_exam(data, tell=note)
        docs, items = exam.conversations, exam.items
    else:
        docs = [load_stream(data)] if text == "stream" else load_text(data)
    uses: list[Use] = ["evaluation", "decoding"] if items else ["evaluation"]
    prepare_engine("compiled", saved.dtype, uses=uses, tell=note)
    model = InferenceGpt(saved)
    result = model.evaluate(docs, text=text, threads=threads)
    answers, seconds = _ask(model, items, threads) if items else ([], 0.0)
    if as_json:
        facts = {
            "loss": result.loss,
            "n_docs": result.n_docs,
            "n_tokens": result.n_tokens,
            "n_characters": result.n_characters,
            "bits_per_character": result.bits_per_character,
        }
        print(json.dumps(facts | ({"replies": as_facts(answers, seconds)} if answers else {})))
        return
    print(f"documents:  {result.n_docs}")
    print(f"tokens:     {result.n_tokens}{' of the assistant' if model.tokenizer.is_chat else ''}")
    print(f"loss:       {result.loss:.4f} nats a token ({bits(result.loss):.4f} bits)")
    if model.tokenizer.kind != "char":
        print(f"characters: {result.n_characters}, at {result.bits_per_character:.4f} bits each")
    for line in page(answers, seconds) if answers else ():
        print(line)


def _ask(
    model: "InferenceGpt", items: "Sequence[Item]", threads: int
) -> "tuple[list[Answer], float]":
    """Return what the model replies to each item, and how many seconds that took."""
    from microgpt.evaluation.exact_match import answer_all
    from microgpt_cli.data_report.exact_match_page import n_cut

    started = perf_counter()
    answers = list(followed(answer_all(model, items, threads=threads), len(items), "replies"))
    seconds = perf_counter() - started
    if n := n_cut(answers):
        note(f"{n} of {len(items)} questions were asked without their oldest turns: no room")
    return answers, seconds
