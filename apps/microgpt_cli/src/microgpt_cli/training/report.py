"""Samples, picture and report of a finished training."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, count_predictions
from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.memorisation import KnownTexts, Memorisation, compare
from microgpt.files.atomic_files import as_argument
from microgpt.inference import InferenceGpt
from microgpt.model import count_params
from microgpt.state import TrainResult
from microgpt_cli.terminal.console import note, shown
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR

# `data.fingerprint` of the bundled names.txt: Karpathy's header calls its samples "names".
NAMES_SHA256 = "816d2a728695db28a20e17eae61c9c423091a511b3df09a06a489dccbf0876c7"
MOST_SHOWN = 80  # characters of a document, which may be a book


def draw(output: Path) -> None:
    """Draw the losses; that it does not work must not cost what has been trained."""
    from microgpt_cli.commands.plot import DEFAULT_FILES, PlotError, write_curves

    try:
        write_curves([output], [output / file for file in DEFAULT_FILES])
    except PlotError as error:
        note(f"no picture: {error}")


def report(
    result: TrainResult, n_samples: int, parts: Split, output: Path, *, as_json: bool
) -> None:
    """Print result and samples on stdout; on stderr which samples are known and what to do next."""
    samples, memorised = [], None
    if n_samples:
        model = InferenceGpt(result, engine=result.plan.engine)
        samples = model.generate(n_samples, rng=result.rng())
        texts = [doc for doc in parts.train if isinstance(doc, str)]
        known = KnownTexts(texts, room=result.model.block_size, text=result.config.text)
        memorised = compare(samples, known)
    if as_json:
        print(json.dumps(_summary(result, samples, memorised, output)))
        return
    _print_losses(result, parts)
    is_names = result.data.sha256 == NAMES_SHA256
    what = "text" if result.config.text == "stream" else "names" if is_names else "documents"
    if samples:
        print(f"\n--- inference (new, hallucinated {what}) ---")
    for i, sample in enumerate(samples, start=1):
        print(f"sample {i:2d}: {shown(sample)}")
    sys.stdout.flush()
    if memorised:
        _tell_what_is_known(memorised)
    where = "" if output == DEFAULT_MODEL_DIR else f" --model-dir {as_argument(output)}"
    command = "chat" if result.tokenizer.is_chat else "generate"
    note(f"the model is in {output}; try: microgpt {command}{where}")


def _print_losses(result: TrainResult, parts: Split) -> None:
    """Print the last step, and what was measured on documents that were held out."""
    state, config = result.state, result.config
    last_loss = state.recent_losses[-1]
    print(f"step {state.step:4d} / {config.steps:4d} | loss {last_loss:.4f}")  # as Karpathy prints
    if state.best:
        loss = _in_words(state.best.val_loss, result, parts.validation)
        print(f"held-out loss {loss}, the best, after step {state.best.step}")
    if result.test_loss is not None:
        print(f"test loss     {_in_words(result.test_loss, result, parts.test)}")


def _in_words(loss: float, result: TrainResult, docs: Sequence[Document]) -> str:
    """Return a loss with its unit, and what it is in bits a character."""
    tokenizer, loss_on, text = result.tokenizer, result.config.loss_on, result.config.text
    if tokenizer.kind == "char":
        return f"{loss:.4f} nats a character ({bits(loss):.4f} bits)"
    n_tokens, n_characters = (
        sum(count_predictions(doc, loss_on, text, count) for doc in docs)
        for count in (tokenizer.count, len)
    )
    bits_each = bits(loss) * n_tokens / n_characters
    return f"{loss:.4f} nats a token ({bits_each:.4f} bits a character)"


def _tell_what_is_known(memorised: Memorisation) -> None:
    """Say how many samples are in the training data, and what comes nearest to the others."""
    line = f"{memorised.n_known} of {memorised.n_samples} samples are in the training data"
    pairs = []
    for sample in memorised.novel:
        end = "…" if len(sample.document) > MOST_SHOWN else ""
        pairs.append(f"{sample.text} ({sample.document[:MOST_SHOWN]}{end})")
    if pairs:
        line += f"; the others, and what comes nearest to them there: {', '.join(pairs)}"
    note(line)


def _summary(
    result: TrainResult, samples: list[str], memorised: Memorisation | None, output: Path
) -> dict[str, object]:
    """Return what `--json` prints."""
    best = result.state.best
    facts = {
        "num_docs": result.data.n_docs,
        "vocab_size": result.model.vocab_size,
        "num_params": count_params(result.model),
        "steps": result.state.step,
        "loss": result.state.recent_losses[-1],
        "val_loss": result.val_loss,
        "best_step": best.step if best else None,
        "test_loss": result.test_loss,
        "seconds": round(result.seconds, 3),
        "samples": samples,
        "memorised": asdict(memorised) if memorised else None,
        "output": str(output),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
