"""Print the results of a training run: losses, samples, and the answers of a chat model."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from math import log
from pathlib import Path

from microgpt import (
    NAMES_SHA256,
    Document,
    InferenceGpt,
    KnownTexts,
    Memorisation,
    Split,
    TrainingJob,
    TrainResult,
    as_argument,
    bits,
    compare,
    count_params,
    count_predictions,
    default_lr,
    ngram_bits,
    other_data,
    texts_of,
)
from microgpt_cli.terminal.console import note, say, terminal_safe
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR
from microgpt_cli.training.forgetting import forgetting
from microgpt_cli.training.request import TrainRequest

MOST_COUNTED = 50_000  # characters of a text that is compared with counts of n-grams
COUNTING = 1.01  # they are better if the model's loss is at least as many times theirs
STREAM_SAMPLE_TOKENS = 300  # number of tokens of a sample of running text
MAX_SHOWN = 80  # maximum number of characters printed per document


def draw_samples(result: TrainResult, n: int) -> list[str]:
    """Return n samples of a trained model."""
    if not n:
        return []
    model = InferenceGpt(result, engine=result.plan.engine)
    length = STREAM_SAMPLE_TOKENS if result.config.text == "stream" else None
    return model.generate(n, rng=result.rng(), max_tokens=length)


def print_results(
    result: TrainResult,
    samples: Sequence[str],
    job: TrainingJob,
    output: Path,
    request: TrainRequest,
) -> None:
    """Print the result and samples to stdout, and notes on memorised samples to stderr."""
    parts, text = job.parts, result.config.text
    answers, memorised = None, None
    lost = forgetting(job.parent, request.from_, result, parts)
    if result.tokenizer.is_chat:
        from microgpt_cli.training.chat_answers import answer_questions  # loads grammars of chats

        answers = answer_questions(result, parts)
    if samples:
        texts = [doc for doc in result.documents if isinstance(doc, str)]
        known = KnownTexts(texts, room=result.model.block_size, text=text)
        memorised = compare(samples, known, nearest=request.novel or request.as_json)
    if request.as_json:
        facts = _summary(result, samples, memorised, output)
        facts |= {"parents_data": lost._asdict()} if lost else {}
        print(json.dumps(facts | (answers.facts() if answers else {})))
        return
    _print_losses(result, parts)
    _note_counting(result, parts)
    _note_uniform_guess(result, request.given.get("lr"))
    if lost:
        print(lost.line())
    for line in answers.lines() if answers else ():
        print(line)
    is_names = result.data.sha256 == NAMES_SHA256
    what = "text" if text == "stream" else "names" if is_names else "documents"
    if samples:
        print(f"\n--- inference (new, hallucinated {what}) ---")
    for i, sample in enumerate(samples, start=1):
        end = "\n" if text == "stream" else " "
        print(f"sample {i:2d}:{end}{terminal_safe(sample)}")
    sys.stdout.flush()
    if memorised and (memorised.n_known or request.novel or what != "text"):
        _note_memorised(memorised, other_data(result.data, result.plan.ancestor_data))
    if answers and answers.advice:
        note(answers.advice)
    note(f"the model is in {output}; try: {use_command(result, output)}")


def use_command(result: TrainResult, output: Path) -> str:
    """Return the command to generate samples from the model or to chat with the model."""
    where = "" if output == DEFAULT_MODEL_DIR else f" --model {as_argument(output)}"
    length = " --max-tokens 1000" if result.config.text == "stream" else ""
    return f"microgpt {'chat' if result.tokenizer.is_chat else 'generate'}{where}{length}"


def _print_losses(result: TrainResult, parts: Split) -> None:
    """Print the last training loss and the held-out losses."""
    state, config, marks = result.state, result.config, result.plan.contamination
    last_loss = f"{state.recent_losses[-1]:.4f}" if state.recent_losses else "unknown"
    print(f"step {state.step:4d} / {config.steps:4d} | loss {last_loss}")  # Karpathy's format
    if state.best:
        loss = _format_loss(state.best.val_loss, result, parts.validation)
        where = f"at step {state.best.step}"
        if result.plan.ensemble and not state.best.step:
            where = "of a teacher, which is kept, because the student is no better"
        print(f"lowest held-out loss {loss} {where}{marks.get('validation', '')}")
    if result.test_loss is not None:
        loss = _format_loss(result.test_loss, result, parts.test)
        print(f"test loss            {loss}{marks.get('test', '')}")


def _note_counting(result: TrainResult, parts: Split) -> None:
    """Print a note if n-gram counts predict the held-out part of a small text better."""
    name, loss, docs = "validation", result.val_loss, parts.validation
    if parts.test:
        name, loss, docs = "test", result.test_loss, parts.test
    train, held_out = (
        [text for doc in part for text in texts_of(doc)] for part in (parts.train, docs)
    )
    is_small = sum(map(len, train)) <= MOST_COUNTED
    if loss is None or result.tokenizer.is_chat or not ("budget" in result.plan.given and is_small):
        return
    counted, ours = ngram_bits(train, held_out), _bits_per_character(loss, result, docs)
    if ours > COUNTING * counted:
        note(
            f"counting predicts the {name} documents better: n-grams have {counted:.2f} bits per "
            f"character, the model {ours:.2f}, because the text is small; more text helps most"
        )


def _note_uniform_guess(result: TrainResult, lr: float | None) -> None:
    """Print a note if a given learning rate made the model no better than a uniform guess."""
    loss = result.state.train_loss if result.val_loss is None else result.val_loss
    guess, usual = log(result.model.vocab_size), default_lr(result.model.n_embd)
    if lr not in (None, usual) and loss is not None and loss > 0.999 * guess:
        note(
            f"the model is no better than a uniform guess, whose loss is {guess:.4f} (mean loss: "
            f"{loss:.4g}); use --learning-rate {usual:g} instead of {lr:g}"
        )


def _bits_per_character(loss: float, result: TrainResult, docs: Sequence[Document]) -> float:
    tokenizer, text = result.tokenizer, result.config.text
    n_tokens, n_characters = (
        sum(count_predictions(doc, text, count) for doc in docs) for count in (tokenizer.count, len)
    )
    return bits(loss) * n_tokens / n_characters


def _format_loss(loss: float, result: TrainResult, docs: Sequence[Document]) -> str:
    """Format a loss in nats per token and bits per character."""
    if result.tokenizer.kind == "char":
        return f"{loss:.4f} nats per character ({bits(loss):.4f} bits)"
    bits_each = _bits_per_character(loss, result, docs)
    return f"{loss:.4f} nats per token ({bits_each:.4f} bits per character)"


def _note_memorised(memorised: Memorisation, other_data: str) -> None:
    """Print the number of memorised samples, and the nearest document of each novel sample."""
    line = f"{memorised.n_known} of {memorised.n_samples} samples are in the training data"
    line += other_data and f" ({other_data})"
    note(f"{line}; the others, each with the most similar document:" if memorised.novel else line)
    for sample in memorised.novel:
        end = "…" if len(sample.document) > MAX_SHOWN else ""
        say(f"  {sample.text} ({sample.document[:MAX_SHOWN]}{end})")


def _summary(
    result: TrainResult, samples: Sequence[str], memorised: Memorisation | None, output: Path
) -> dict[str, object]:
    """Return the output of `--json`."""
    best = result.state.best
    facts = {
        "num_docs": result.data.n_docs,
        "vocab_size": result.model.vocab_size,
        "num_params": count_params(result.model),
        "steps": result.state.step,
        "loss": result.state.recent_losses[-1] if result.state.recent_losses else None,
        "val_loss": result.val_loss,
        "best_step": best.step if best else None,
        "test_loss": result.test_loss,
        "contamination": result.plan.contamination or None,
        "seconds": round(result.seconds, 3),
        "budget": result.plan.given.get("budget"),
        "teachers": result.plan.ensemble.n_teachers if result.plan.ensemble else None,
        "samples": samples,
        "memorised": asdict(memorised) if memorised else None,
        "output": str(output),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
