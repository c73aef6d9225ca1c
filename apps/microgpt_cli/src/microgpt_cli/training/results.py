"""Print the results of a training run: losses, samples, and what a chat model answers."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, TypeVar

from microgpt.amounts import in_short, percentage
from microgpt.data.contamination import Bounds, other_data, trained_documents
from microgpt.data.conversation_file import Item, load_chat_tests
from microgpt.data.documents import bundled
from microgpt.data.folding import FoldingTokenizer, folded
from microgpt.data.split import Split
from microgpt.data.statistics import measure
from microgpt.data.tokenizer import Document, Message, count_predictions, texts_of
from microgpt.evaluation.exact_match import Answer, ExactMatches, answer_all
from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.memorisation import KnownTexts, Memorisation, compare
from microgpt.evaluation.ngram_loss import ngram_bits
from microgpt.files.atomic_files import as_argument
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.printable import printable
from microgpt.questions.known_questions import KnownQuestions
from microgpt.questions.wordings import other_wordings, unknown_questions
from microgpt.state import TrainResult
from microgpt.training.choice import (
    NAMES_SHA256,
    TUNING_PASSES,
    TUNING_STEPS,
    useful_operations,
)
from microgpt.training.operations import step_operations
from microgpt.training.presets import PRESETS
from microgpt_cli.terminal.console import note, say, terminal_safe
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR
from microgpt_cli.training.forgetting import Forgetting

MOST_COUNTED = 50_000  # characters of a text that is compared with counts of n-grams
COUNTING = 1.01  # they are better if the model's loss is at least as many times theirs
MAX_SHOWN = 80  # maximum number of characters printed per document
T = TypeVar("T")

# `fingerprint` of the bundled chat.jsonl.
CHAT_SHA256 = "957ed9779ec2bd41fa4b29e9ee7ed6e9b89cde86ef5007f9e5459257fb3885db"
N_QUESTIONS = 200  # maximum number of questions; the 95 % interval is at most ± 7 %
N_SHOWN, CLIP = 2, 80  # number of replies to print, and maximum length of a printed text
N_WORDINGS, SEED = 4, 1  # other wordings of each of few questions
MOST = 0.9  # share of the useful operations from which the data limit a training run
POOR = 0.9  # share of exact answers below which options that help are named
# Options for the bundled conversations with their share of exact answers (docs/choice.md, chat.md).
BETTER = (
    (0.58, "--minutes 3 without a shape and steps (58 % on a fast core, 32 % on a slow one)"),
    (0.98, "--preset chat (98 %, in about five minutes; the demo model is made with it)"),
)


def print_results(
    result: TrainResult,
    samples: Sequence[str],
    parts: Split,
    output: Path,
    lost: Forgetting | None,
    *,
    novel: bool,
    as_json: bool,
) -> None:
    """Print the result and samples to stdout, and notes on memorised samples to stderr."""
    answers, memorised, text = answer_questions(result, parts), None, result.config.text
    if samples:
        texts = [doc for doc in result.documents if isinstance(doc, str)]
        known = KnownTexts(texts, room=result.model.block_size, text=text)
        memorised = compare(samples, known, nearest=novel or as_json)
    if as_json:
        facts = _summary(result, samples, memorised, output)
        facts |= {"parents_data": lost._asdict()} if lost else {}
        print(json.dumps(facts | (answers.facts() if answers else {})))
        return
    _print_losses(result, parts)
    _note_counting(result, parts)
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
    if memorised and (memorised.n_known or novel or what != "text"):
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
    """Print a note if counts of n-grams predict the held-out part of a small text better."""
    name = "test" if parts.test else "validation"
    loss, docs = {
        "test": (result.test_loss, parts.test),
        "validation": (result.val_loss, parts.validation),
    }[name]
    train, held_out = (
        [text for doc in part for text in texts_of(doc)] for part in (parts.train, docs)
    )
    is_small = sum(map(len, train)) <= MOST_COUNTED
    if loss is None or result.tokenizer.is_chat or not (result.plan.budget and is_small):
        return
    counted, ours = ngram_bits(train, held_out), _bits_per_character(loss, result, docs)
    if ours > COUNTING * counted:
        note(
            f"counting predicts the {name} documents better: n-grams have {counted:.2f} bits per "
            f"character, the model {ours:.2f}, because the text is small; more text helps most"
        )


def _bits_per_character(loss: float, result: TrainResult, docs: Sequence[Document]) -> float:
    tokenizer, loss_on, text = result.tokenizer, result.config.loss_on, result.config.text
    n_tokens, n_characters = (
        sum(count_predictions(doc, loss_on, text, count) for doc in docs)
        for count in (tokenizer.count, len)
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
        "budget": result.plan.budget,
        "steps_changed": result.plan.steps_changed or None,
        "teachers": result.plan.ensemble.n_teachers if result.plan.ensemble else None,
        "samples": samples,
        "memorised": asdict(memorised) if memorised else None,
        "output": str(output),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


class ChatAnswers(NamedTuple):
    """A model's greedy replies to questions."""

    answers: Sequence[Answer]
    are_held_out: bool  # else, the questions are those of the training data
    read_before: Bounds  # share of the held-out questions that a parent has read
    advice: str | None  # the options that give better answers; None if the answers are good
    wordings: ExactMatches | None = None  # of other wordings of few questions
    refused: ExactMatches | None = None  # of unknown questions

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Two questions, each with its reply, if possible the first ones of a conversation."""
        best_first = sorted(self.answers, key=lambda one: (one.reply is None, one.item.place != 1))
        replies: dict[str, str] = {}
        for one in best_first:
            replies.setdefault(one.item.prompt, one.reply or one.problem or "")
        return [*replies.items()][:N_SHOWN]

    def lines(self) -> Iterator[str]:
        """Yield the lines to print."""
        score = ExactMatches.of(self.answers)
        where = "held-out questions" if self.are_held_out else "questions of the training data"
        share = f"({percentage(score.share)}){self.read_before if self.are_held_out else ''}"
        yield f"exact answers        {score.n_exact} of {score.n} {where} {share}"
        if self.wordings and self.refused:
            for found, what in (
                (self.wordings, "other wordings right"), (self.refused, "unknown questions refused")
            ):  # fmt: skip
                share = percentage(found.share)
                yield f"{'':20} {found.n_exact} of {found.n} made-up {what} ({share})"
        yield "\n--- replies (temperature 0) ---"
        for question, reply in self.shown:
            yield f"user:      {printable(question, CLIP)}"
            yield f"assistant: {printable(reply, CLIP)}"

    def facts(self) -> dict[str, object]:
        """Return the fields of `train --json`."""
        score = asdict(ExactMatches.of(self.answers)) | {"held_out": self.are_held_out}
        if self.read_before.high:
            score["contamination"] = self.read_before
        for name, found in (("other_wordings", self.wordings), ("refused", self.refused)):
            score |= {name: asdict(found)} if found else {}
        shown = [{"user": question, "assistant": reply} for question, reply in self.shown]
        return {"exact_answers": score, "replies": shown, "advice": self.advice}


def answer_questions(result: TrainResult, parts: Split) -> ChatAnswers | None:
    """Return a chat model's replies; None for other models and the reference engine, too slow.

    The questions are those that are held out, for the bundled conversations those of
    chat_heldout.jsonl, and otherwise those of the training data.
    """
    if not result.tokenizer.is_chat or result.plan.engine == "reference":
        return None
    if result.known_questions:
        return _answer_few(result, result.known_questions)
    are_bundled = result.plan.input is None or result.data.sha256 == CHAT_SHA256
    # No split says what a parent has read of the bundled file, and of other data.
    ancestors, known = result.plan.ancestor_data, 0.0
    own_sha256 = CHAT_SHA256 if are_bundled else result.data.sha256
    is_unknown = any(each is None or each.sha256 != own_sha256 for each in ancestors)
    if are_bundled:
        held_out = load_chat_tests(bundled("chat_heldout.jsonl")).items
    else:
        held_out, known = _new_items(result, parts)
    items = held_out or _items(_spread(parts.train))
    answers = list(answer_all(InferenceGpt(result), _spread(items)))
    share, better = ExactMatches.of(answers).share, ["more conversations", _longer(result, parts)]
    if are_bundled and not (result.plan.parent_sha256 or result.plan.preset):
        better = [option for at, option in BETTER[bool(result.plan.minutes) :] if at > share]
    elif result.plan.input is None and (preset := result.plan.preset):
        better = [f"--steps {PRESETS[preset].config.steps}, as in the preset"]
    advice = f"for more exact answers: {', or '.join(better)}" if share < POOR else None
    read_before = Bounds(known, 1.0 if is_unknown else known)
    return ChatAnswers(answers, bool(held_out), read_before, advice)


def _answer_few(result: TrainResult, known: KnownQuestions) -> ChatAnswers:
    """Return the replies of a model of few questions, to these and to other wordings."""
    model, items = InferenceGpt(result), _items(known.conversations)
    items = [one for one in items if one.place == len(one.conversation) - 1]
    first = {one.prompt: one.expected for one in items if one.place == 1}
    reworded = other_wordings([*first], N_WORDINGS, SEED)
    wordings = [_item(text, first[question]) for text, question in reworded]
    unknown = [_item(text, known.reply) for text in unknown_questions([*first], N_QUESTIONS, SEED)]
    scores = [ExactMatches.of([*answer_all(model, each)]) for each in (wordings, unknown)]
    answers = [*answer_all(model, items)]
    advice = None
    if ExactMatches.of(answers).share < POOR:
        advice = "for more exact answers: omit the options for the model and the training"
    return ChatAnswers(answers, False, Bounds(0.0, 0.0), advice, *scores)


def _item(question: str, expected: str) -> Item:
    return Item("", (Message("user", question), Message("assistant", expected)), 1, 1)


def _longer(result: TrainResult, parts: Split) -> str:
    """Return the options for a longer training, without a limit that the data do not reach."""
    plan, minutes, steps = result.plan, result.plan.minutes, result.plan.config.steps
    sizes = measure(parts.train, plan.tokenizer, "lines")
    step = step_operations(plan.model, plan.config, sizes.chunk_length(plan.model.block_size))
    useful = useful_operations(sizes)
    if plan.parent_sha256 and plan.budget:  # see `choose`
        n_read = plan.config.batch_size * sizes.chunk_length(plan.model.block_size)
        useful = step * max(TUNING_STEPS, TUNING_PASSES * sizes.n_tokens / n_read)
    if steps * step < MOST * useful:
        if minutes:
            return f"--minutes {2 * minutes:g}"
        if plan.budget:
            return f"--budget {in_short(2 * plan.budget)}"
        is_recipe = plan.preset or plan.parent_sha256
        return f"--steps {2 * steps}" if is_recipe else "--minutes 5, which chooses settings"
    steps *= 2
    limit = " without a time or a budget" if plan.budget else ""
    test = " --test-fraction 0" if parts.test else ""
    return f"learn all of them with --steps {steps} --val-fraction 0{test}{limit}"


def _new_items(result: TrainResult, parts: Split) -> tuple[list[Item], float]:
    """Return the replies in held-out conversations to questions that training data do not have.

    A conversation is held out by its whole content, so that its beginning may be in another one.
    The second value is the share of these questions that the parent or the teachers have read.
    """
    folds = isinstance(result.tokenizer, FoldingTokenizer)

    def asked(docs: Iterable[Document]) -> list[int]:
        """Return a hash of the messages before each reply, in the order of `_items`."""
        found = []
        for doc in map(folded, docs) if folds else docs:
            before = 0
            for message in doc:
                if isinstance(message, Message) and message.role == "assistant":
                    found.append(before)
                before = hash((before, message))
        return found

    ancestors, is_test = result.plan.ancestor_data, bool(parts.test)
    read = trained_documents(parts.docs, ancestors, validated=is_test)
    own, every = set(asked(parts.train)), set(asked(read))
    held_out = parts.test or parts.validation
    found = zip(asked(held_out), _items(held_out), strict=True)
    new = [(key, one) for key, one in found if key not in own]
    return [one for _, one in new], sum(key in every for key, _ in new) / max(1, len(new))


def _items(docs: Sequence[Document]) -> list[Item]:
    """Return all replies in conversations."""
    return [
        Item("", tuple(doc), place, line)
        for line, doc in enumerate(docs, start=1)
        if not isinstance(doc, str)
        for place, message in enumerate(doc)
        if message.role == "assistant"
    ]


def _spread(values: Sequence[T]) -> Sequence[T]:
    """Return at most N_QUESTIONS evenly spaced values."""
    n = min(len(values), N_QUESTIONS)
    return [values[i * len(values) // n] for i in range(n)]
