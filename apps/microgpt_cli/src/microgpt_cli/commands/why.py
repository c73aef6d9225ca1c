"""`microgpt why`: find the training documents that led to a prediction."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

from microgpt.errors import ConfigError
from microgpt_cli.search.options import SweepOptions
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import load_kernels


def why(
    model: Path = opt.GIVEN_MODEL,
    text: list[str] = opt.argument(..., opt.TURNS_HELP, "TEXT"),
    groups: int = opt.option(8, "Maximum number of groups of documents to leave out.", min=1),
    seeds: int = opt.option(4, opt.OTHER_SEEDS_HELP, min=0, max=opt.MAX_OTHER_SEEDS),
    data: Path | None = opt.RECORDED_DATA,
    from_: Path | None = opt.RECORDED_PARENT,
    workers: Annotated[int | None, opt.option_of(SweepOptions, "workers")] = None,
    as_json: bool = opt.AS_JSON,
) -> None:
    """Find the training documents that led to a prediction.

    Repeat the training of the model without each of several groups of documents that share
    characters with the text, and print the change of the surprise at the text: positive if the
    documents had made it more likely. It is compared with the spread: the standard deviation over
    the seed of the model and other seeds.
    """
    from microgpt.data.shared_ngrams import shared_ngrams
    from microgpt.evaluation.counterfactual import Baseline, bits_per_document
    from microgpt.inference import InferenceGpt
    from microgpt_cli.explanation import document_of
    from microgpt_cli.search.retraining import other_seeds, recorded, retrained
    from microgpt_cli.terminal.console import terminal_safe

    saved, job = recorded(model, data, from_)
    doc, docs = document_of(text, is_chat=saved.tokenizer.is_chat), job.parts.train
    if job.parts.left_out:
        raise ConfigError(
            f"{model} was trained without some documents; use a model that was trained on all"
        )
    if saved.text == "stream" or saved.known_questions:
        raise ConfigError(
            f"{model} was trained on running text or on few questions; use a model of documents"
        )
    load_kernels("compiled", saved.dtype, uses=["evaluation"])
    measure = partial(bits_per_document, docs=[doc], loss_on=saved.loss_on, text=saved.text)
    own, found = measure(InferenceGpt(saved)), shared_ngrams(doc, docs, groups)
    if not found:
        raise ConfigError(
            "no document shares three characters with the text, or more than 10% of the documents "
            "do; use another text"
        )
    for group in found:
        note(f"{group.name}: {len(group.ids):,} of {len(docs):,} documents")
    variations = [*({"without": group.pattern} for group in found), *other_seeds(job, seeds)]
    bits = retrained(saved, job, variations, measure, workers)
    baseline = Baseline(own, bits[len(found) :])
    rows = [(group, baseline.change_to(each)) for group, each in zip(found, bits, strict=False)]
    rows.sort(key=lambda row: -abs(row[1].change))
    if as_json:
        facts = [
            {"name": group.name, "pattern": group.pattern, "n_docs": len(group.ids)}
            | change._asdict()
            for group, change in rows
        ]
        print(json.dumps(baseline.facts() | {"groups": facts}))
        return
    width = max(len(group.name) for group, _ in rows)
    print(f"{'without':<{width}}  documents   bits  change{'  spreads' if seeds else ''}")
    for group, (after, change, ratio) in rows:
        times = f"  {ratio or 0:+7.1f}" if seeds else ""
        figures = f"{len(group.ids):>9,}  {after:5.1f}  {change:+6.2f}{times}"
        print(terminal_safe(f"{group.name:<{width}}  {figures}"))
    print(f"{own:.2f} bits with all documents{f'; {baseline}' if seeds else ''}")
