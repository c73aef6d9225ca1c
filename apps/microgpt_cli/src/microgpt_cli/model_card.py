"""A model card: what a model is, its data, its losses, and how to use it, as Markdown."""

import shlex
from collections.abc import Container, Iterator
from math import log

from microgpt import (
    ARCHITECTURE,
    DEFAULT_SEED,
    DataFacts,
    Document,
    InferenceGpt,
    Sampling,
    SavedModel,
    bounds_of,
    count,
    count_params,
    is_karpathys,
    percentage,
    printable,
)

N_SAMPLES = 200  # compared with the training documents
UNITS = {"char": "characters", "bpe": "subwords"}
LOSSES = {"train_loss": "training", "val_loss": "validation", "test_loss": "test"}


def model_card(saved: SavedModel, name: str, known: Container[Document] | None = None) -> str:
    """Return the content of a README.md.

    Args:
        name: name of the model in the title and in the commands.
        known: the training documents, or their hashes; None if they are not known.
    """
    sections = {
        "Data": _data(saved),
        "Losses": _losses(saved),
        "Memorisation": _memorisation(saved, known),
        "Use": _use(saved, name),
        "Licence": iter(["Not stated. Add one that the licence of the data allows."]),
    }
    lines = [f"# {name}", "", *_model(saved)]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    return "\n".join(lines) + "\n"


def _model(saved: SavedModel) -> Iterator[str]:
    model, tokenizer = saved.model, saved.tokenizer
    kind = "conversations" if tokenizer.is_chat else "text"
    yield (
        f"A language model of {kind} with {count_params(model):,} weights, of "
        f"{printable(saved.meta.created_by or 'an unknown program')}. It reads at most "
        f"{model.block_size:,} {UNITS[tokenizer.kind]} and knows {model.vocab_size:,} tokens."
    )
    shape = {name: getattr(model, name) for name in ("n_layer", "n_embd", "n_head", "n_ff_exp")}
    if not is_karpathys(model):
        shape |= {name: getattr(model, name) for name in ARCHITECTURE}
    yield ""
    yield f"Architecture: {', '.join(f'{key} {value}' for key, value in shape.items())}."
    yield f"Weights: sha256 `{saved.sha256}`."


def _data(saved: SavedModel) -> Iterator[str]:
    own, *ancestors = saved.trained_on
    if source := saved.meta.training.get("imported_from"):
        yield f"Imported from {printable(str(source))}; its data are unknown."
    else:
        yield _data_facts(own)
    for data in ancestors:
        yield f"- Its parent, or a teacher: {_data_facts(data)}"


def _data_facts(data: DataFacts | None) -> str:
    if data is None:
        return "Unknown."
    unit = "document" if data.gap is None else "text"
    held_out = {"validation": data.val_fraction, "a test": data.test_fraction}
    parts = [f"{percentage(share)} for {what}" for what, share in held_out.items() if share]
    place = "by the hash of each document" if data.gap is None else "by position"
    split = f"Held out {place}: {' and '.join(parts)}." if parts else "Nothing is held out."
    return f"{count(data.n_docs, unit)}, sha256 `{printable(data.sha256)}`. {split}"


def _losses(saved: SavedModel) -> Iterator[str]:
    training = saved.meta.training
    found = {name: loss for name in LOSSES if isinstance(loss := training.get(name), float)}
    if not found:
        yield "Not measured."
        return
    yield "| documents | nats per token | bits per token |"
    yield "|---|---|---|"
    for name, loss in found.items():
        mark = bounds_of(training, LOSSES[name]) or ""
        yield f"| {LOSSES[name]}{mark} | {loss:.4f} | {loss / log(2):.4f} |"
    if isinstance(steps := training.get("steps"), int):
        yield ""
        yield f"{count(steps, 'step')}; the training loss is the mean of the last 100."


def _memorisation(saved: SavedModel, known: Container[Document] | None) -> Iterator[str]:
    if known is None or saved.tokenizer.is_chat:
        yield "Not measured. The model may repeat parts of its training data."
        return
    n_known = sum(sample in known for sample in InferenceGpt(saved).generate(N_SAMPLES))
    yield (
        f"{n_known} of {N_SAMPLES} samples ({percentage(n_known / N_SAMPLES)}) are training "
        f"documents (temperature {Sampling.temperature}, seed {DEFAULT_SEED})."
    )


def _use(saved: SavedModel, name: str) -> Iterator[str]:
    is_chat = saved.tokenizer.is_chat
    yield "```bash"
    yield "pip install microgpt-cli"
    yield f"microgpt {'chat' if is_chat else 'generate'} --model {shlex.quote(name)}"
    yield "```"
