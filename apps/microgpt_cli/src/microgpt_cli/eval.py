"""`microgpt eval`: how well a model predicts a file."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from microgpt.config import check_threads
from microgpt_cli.options import AsJson, Threads
from microgpt_cli.streams import note


def evaluate(
    model_dir: Annotated[Path, typer.Argument(help="Directory of the model.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option(
            help="UTF-8 text, a document a line; for a chat model, JSONL, a conversation a line.",
            show_default=False,
        ),
    ],
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Print how well a model predicts a file: nats and bits a token, the end of each included.

    Give it documents that the model has not learnt from. One that is longer than the context is
    read in overlapping windows.
    """
    check_threads(threads)

    from microgpt.checkpoint import load
    from microgpt.data import load_conversations, load_text
    from microgpt.engines import prepare_engine
    from microgpt.inference import InferenceGpt

    saved = load(model_dir)
    docs = load_conversations(data) if saved.tokenizer.is_chat else load_text(data)
    prepare_engine("compiled", saved.dtype, uses=["evaluation"], tell=note)
    result = InferenceGpt(saved).evaluate(docs, threads=threads)
    if as_json:
        facts = {"loss": result.loss, "n_docs": result.n_docs, "n_tokens": result.n_tokens}
        print(json.dumps(facts))
        return
    print(f"documents:  {result.n_docs}")
    print(f"tokens:     {result.n_tokens}")
    print(f"loss:       {result.loss:.4f} nats a token ({result.loss / math.log(2):.4f} bits)")
