"""Print the results of a training run: losses, samples, and the answers of a chat model."""

import json
import sys
from collections.abc import Sequence
from math import log
from pathlib import Path

from microgpt import (
    NAMES_SHA256,
    Document,
    InferenceGpt,
    Split,
    TrainResult,
    as_argument,
    bits,
    count_params,
    count_predictions,
    mark,
    other_data,
    plain,
    read_forms,
    read_meta,
)
from microgpt_cli.baselines import compared
from microgpt_cli.hidden_units import note_on_units
from microgpt_cli.samples import copied_share, note_faults, usual_length, usual_temperature
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR
from microgpt_cli.training.train_request import N_SAMPLES, N_STREAM_SAMPLES, TrainRequest

ENOUGH = 100  # minimum number of documents for a hint to hold some out
STREAM_SAMPLE_TOKENS = 300  # length of a sample from a model of running text


def draw_samples(result: TrainResult, n: int | None) -> list[str]:
    """Return n samples of a model, or a default number if n is None; [] for a chat model."""
    is_stream = result.config.text == "stream"
    n = (N_STREAM_SAMPLES if is_stream else N_SAMPLES) if n is None else n
    if not n or result.tokenizer.is_chat:
        return []
    model = InferenceGpt(result, engine=result.plan.engine)
    length = STREAM_SAMPLE_TOKENS if is_stream else usual_length(result)
    temperature = usual_temperature(result)
    return model.generate(n, rng=result.rng(), max_tokens=length, temperature=temperature)


def print_results(
    result: TrainResult, samples: Sequence[str], sets: Split, request: TrainRequest
) -> None:
    """Print the results and samples to stdout, and notes about them to stderr."""
    text, output = result.config.text, request.resume or request.output
    answers, n_trained = None, 0
    if result.tokenizer.is_chat:
        from microgpt_cli.chat_answers import answer_questions  # needed for chat models only

        answers = answer_questions(result, sets)
    if samples:
        forms = [*map(plain, samples)]
        trained = {*forms}.intersection(read_forms(result.documents))
        n_trained = sum(form in trained for form in forms)
    if request.as_json:
        facts = _summary(result, samples, n_trained, output)
        print(json.dumps(facts | (answers.facts() if answers else {})))
        return
    _print_losses(result, sets)
    note(_worth(result, sets))
    if line := note_on_units(result, sets.validation or sets.train):
        note(line)
    for line in (*answers.lines(), *answers.samples()) if answers else ():
        print(line)
    is_names = result.plan.data.sha256 == NAMES_SHA256
    what = "text" if text == "stream" else "names" if is_names else "documents"
    if samples:
        print(f"\n--- inference (new, hallucinated {what}) ---")
    for i, sample in enumerate(samples, start=1):
        end = "\n" if text == "stream" else " "
        print(f"sample {i:2d}:{end}{terminal_safe(sample)}")
    sys.stdout.flush()
    if n_trained or (samples and text != "stream"):
        of_others = other_data(result.plan.data, result.plan.ancestor_data)
        which = f"samples in the training data{of_others and f' ({of_others})'}"
        n_read = min(len(sets.train), result.state.step * result.config.batch_size)
        read = f"the run read {n_read:,} of its {len(sets.train):,} documents"
        note(f"{which}: {n_trained} of {len(samples)}; {read}")
    if copied := copied_share(samples, result.documents):
        note(f"{copied:.0%} of the samples' text is copied from the training data")
    note_faults(samples, result, usual_length(result))
    note(f"the model is in {output}; try: {use_command(result, output)}")


def use_command(result: TrainResult, output: Path) -> str:
    """Return the command to generate samples from the model or to chat with the model."""
    where = "" if output == DEFAULT_MODEL_DIR else f" --model {as_argument(output)}"
    length = " --max-tokens 1000" if result.config.text == "stream" else ""
    return f"microgpt {'chat' if result.tokenizer.is_chat else 'generate'}{where}{length}"


def _print_losses(result: TrainResult, sets: Split) -> None:
    """Print the last training loss and the held-out losses."""
    state, config, shares = result.state, result.config, result.plan.contamination
    last_loss = f"{state.recent_losses[-1]:.4f}" if state.recent_losses else "unknown"
    print(f"step {state.step:4d} / {config.steps:4d} | loss {last_loss}")  # as in Karpathy's script
    if state.best:
        loss = _format_loss(state.best.val_loss, result, sets.validation)
        where = f"at step {state.best.step}"
        if not state.best.step:
            where = "of a teacher, which is kept, because the student is no better"
        print(f"lowest held-out loss {loss} {where}{mark(shares.get('validation', 0.0))}")
    if result.test_loss is not None:
        loss = _format_loss(result.test_loss, result, sets.test)
        print(f"test loss            {loss}{mark(shares.get('test', 0.0))}")


def _worth(result: TrainResult, sets: Split) -> str:
    """Return a sentence that compares the loss with count-based baselines or a uniform guess."""
    loss, baselines = result.val_loss, result.plan.baselines
    if loss is None or not baselines:
        guess = f"a uniform guess has a loss of {log(result.model.vocab_size):.4f}"
        hint = "; for the held-out loss, train with --val-fraction 0.1"
        is_known = sets.validation or result.extra or result.plan.given.get("budget")
        return guess if is_known or len(sets.train) < ENOUGH else guess + hint
    loss = _per_character(loss, result, sets.validation)
    return f"held-out loss per character: {loss:.2f}; {compared(baselines)}"


def _format_loss(loss: float, result: TrainResult, docs: Sequence[Document]) -> str:
    """Format a loss, given in nats per token, in nats and in bits per character."""
    if result.tokenizer.kind == "char":
        return f"{loss:.4f} nats per character ({bits(loss):.4f} bits)"
    per_character = _per_character(bits(loss), result, docs)
    return f"{loss:.4f} nats per token ({per_character:.4f} bits per character)"


def _per_character(loss: float, result: TrainResult, docs: Sequence[Document]) -> float:
    """Convert a loss per token on `docs` to a loss per character."""
    counts = (result.tokenizer.count, len)
    tokens, characters = (
        sum(count_predictions(doc, result.config.text, count) for doc in docs) for count in counts
    )
    return loss * tokens / characters


def _summary(
    result: TrainResult, samples: Sequence[str], n_trained: int, output: Path
) -> dict[str, object]:
    """Return what `--json` prints: the training record in meta.json, sizes, loss and samples."""
    losses = result.state.recent_losses
    facts = {
        **read_meta(output).training,
        "num_docs": result.plan.data.n_docs,
        "vocab_size": result.model.vocab_size,
        "num_params": count_params(result.model),
        "loss": losses[-1] if losses else None,
        "samples": samples,
        "memorised": {"n_samples": len(samples), "n_known": n_trained} if samples else None,
        "output": str(output),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
