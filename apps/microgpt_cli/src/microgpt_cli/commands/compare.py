"""`microgpt compare`: compare the predictions of two models, in bits."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from microgpt.errors import ConfigError
from microgpt_cli.search.options import SweepOptions
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.progress import load_kernels


def compare(
    a: Path = opt.model_argument(..., opt.MODEL_HELP, metavar="A"),
    b: Path = opt.model_argument(..., "The model to compare with it.", metavar="B"),
    text: list[str] = opt.argument(
        None, f"{opt.TURNS_HELP}  [default: the documents that B left out]", "TEXT"
    ),
    seeds: int = opt.option(0, opt.OTHER_SEEDS_HELP, min=0, max=opt.MAX_OTHER_SEEDS),
    data: Path | None = opt.RECORDED_DATA,
    from_: Path | None = opt.RECORDED_PARENT,
    workers: Annotated[int | None, opt.option_of(SweepOptions, "workers")] = None,
    as_json: bool = opt.AS_JSON,
) -> None:
    """Compare the predictions of two models for a text, in bits.

    For each token, print the surprise of A and of B in bits, the difference, and the token that
    each considers most likely. Without a text, compare the mean surprise at the documents that B
    left out of its training (`train --without`). With --seeds, the difference is also given as a
    multiple of the spread: the standard deviation over the seed of A and the other seeds.
    """
    from microgpt.evaluation.counterfactual import Baseline, bits_per_document
    from microgpt.evaluation.explanation import explain
    from microgpt.inference import InferenceGpt
    from microgpt_cli.explanation import comparison_lines, document_of
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.search.retraining import other_seeds, recorded, retrained

    first, second = saved = [load_model(each) for each in (a, b)]
    if first.text != second.text:
        raise ConfigError(
            f"only one of {a} and {b} was trained on running text; "
            "compare two models of the same kind"
        )
    if first.tokenizer.names != second.tokenizer.names:
        raise ConfigError(
            f"the vocabularies of {a} and {b} differ; compare models with the same vocabulary"
        )
    if text:
        docs, what = [document_of(text, is_chat=first.tokenizer.is_chat)], ""
    else:
        docs = [*recorded(b, data, from_)[1].parts.left_out]
        what = f" per document, the mean of {len(docs):,} that B left out"
        if not docs:
            raise ConfigError(f"{b} was trained on all documents; pass a TEXT")
    repeated = recorded(a, data, from_) if seeds else None
    load_kernels("compiled", *{each.dtype for each in saved}, uses=["evaluation"])
    models = [*map(InferenceGpt, saved)]
    measure = partial(bits_per_document, docs=docs, loss_on=first.loss_on, text=first.text)
    bits = [*map(measure, models)]
    shown = models if text else ()
    both = [explain(each, docs[0], n_alternatives=1, text_kind=first.text) for each in shown]
    others: Sequence[float] = ()
    if repeated:
        others = retrained(*repeated, other_seeds(repeated[1], seeds), measure, workers)
    baseline = Baseline(bits[0], others)
    found = baseline.change_to(bits[1])
    if as_json:
        facts = {"a": baseline.facts(), "b": found._asdict()}
        for name, each in zip(facts, both, strict=False):
            facts[name]["predictions"] = each.facts()["predictions"]
        print(json.dumps(facts))
        return
    for line in comparison_lines(*both) if both else ():
        print(line)
    print(f"{bits[0]:.2f} bits under A, {bits[1]:.2f} under B{what}: {found.change:+.2f}")
    if seeds:
        print(f"{baseline}; the change is {found.times or 0:.1f} times that")
