"""What a chat model can do at the end of its training: exact answers, and two of its replies."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple, TypeVar

from microgpt.amounts import percentage
from microgpt.data.contamination import Bounds
from microgpt.data.conversation_file import Item, load_chat_tests
from microgpt.data.documents import bundled
from microgpt.data.sizes import measure
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.evaluation.exact_match import Answer, ExactMatches, answer_all
from microgpt.inference import InferenceGpt
from microgpt.printable import printable
from microgpt.state import TrainResult
from microgpt.training.choice import useful_operations
from microgpt.training.fitting import FEW_CONVERSATIONS, LONGER_STEPS
from microgpt.training.operations import step_operations

T = TypeVar("T")

# `fingerprint` of the bundled chat.jsonl.
CHAT_SHA256 = "957ed9779ec2bd41fa4b29e9ee7ed6e9b89cde86ef5007f9e5459257fb3885db"
N_QUESTIONS = 200  # maximum number of questions; the 95 % interval is at most ± 7 %
N_SHOWN, CLIP = 2, 80  # number of replies to print, and maximum length of a printed text
MOST = 0.9  # share of the useful operations from which the data limit a training
POOR = 0.9  # share of exact answers below which options that help are named
# Options for the bundled conversations with their share of exact answers (docs/choice.md, chat.md).
BETTER = (
    (0.58, "--minutes 3 without a shape and steps (58 % on a fast core, 32 % on a slow one)"),
    (0.98, "--preset chat (98 %, in about five minutes; the demo model is made with it)"),
)


class ChatAnswers(NamedTuple):
    """A model's greedy replies to questions."""

    answers: Sequence[Answer]
    are_held_out: bool  # else, the questions are those of the training data
    read_before: Bounds  # share of the held-out questions that a parent has read
    advice: str | None  # the options that give better answers; None if the answers are good

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
        share = f"({percentage(score.share)}){self.read_before}"
        yield f"exact answers        {score.n_exact} of {score.n} {where} {share}"
        yield "\n--- replies (temperature 0) ---"
        for question, reply in self.shown:
            yield f"user:      {printable(question, CLIP)}"
            yield f"assistant: {printable(reply, CLIP)}"

    def facts(self) -> dict[str, object]:
        """Return the fields of `train --json`."""
        score = asdict(ExactMatches.of(self.answers)) | {"held_out": self.are_held_out}
        if self.read_before.high:
            score["contamination"] = self.read_before
        shown = [{"user": question, "assistant": reply} for question, reply in self.shown]
        return {"exact_answers": score, "replies": shown, "advice": self.advice}


def answer_questions(result: TrainResult, parts: Split) -> ChatAnswers | None:
    """Return a chat model's replies; None for other models and the reference engine, too slow.

    The questions are those that are held out, for the bundled conversations those of
    chat_heldout.jsonl, and otherwise those of the training data.
    """
    if not result.tokenizer.is_chat or result.plan.engine == "reference":
        return None
    are_bundled = result.plan.input is None or result.data.sha256 == CHAT_SHA256
    read_before = result.plan.contamination.get("test" if parts.test else "validation")
    if are_bundled and result.plan.ancestor_data:
        read_before = Bounds(0.0, 1.0)  # no split says what a parent has read of this file
    if are_bundled:
        held_out = load_chat_tests(bundled("chat_heldout.jsonl")).items
    else:
        held_out = _new_items(parts.test or parts.validation, parts.train)
    items = held_out or _items(_spread(parts.train))
    answers = list(answer_all(InferenceGpt(result), _spread(items)))
    share, better = ExactMatches.of(answers).share, ["more conversations", _longer(result, parts)]
    if are_bundled:
        better = [option for at, option in BETTER[bool(result.plan.minutes) :] if at > share]
    advice = f"for more exact answers: {', or '.join(better)}" if share < POOR else None
    return ChatAnswers(answers, bool(held_out), read_before or Bounds(0.0, 0.0), advice)


def _longer(result: TrainResult, parts: Split) -> str:
    """Return the options for a longer training, without a limit that the data do not reach."""
    plan, minutes, steps = result.plan, result.plan.minutes, result.plan.config.steps
    is_few = result.data.n_docs < FEW_CONVERSATIONS
    sizes = measure(parts.train, plan.tokenizer, "lines")
    step = step_operations(plan.model, plan.config, sizes.chunk_length(plan.model.block_size))
    if not is_few and steps * step < MOST * useful_operations(sizes):
        return f"--minutes {2 * minutes:g}" if minutes else "--minutes 5, which chooses settings"
    steps = LONGER_STEPS if is_few and steps < LONGER_STEPS else 2 * steps
    limit = f" without --{'minutes' if minutes else 'budget'}" if plan.budget else ""
    return f"learn all of them with --steps {steps} --val-fraction 0{limit}"


def _new_items(docs: Sequence[Document], train: Sequence[Document]) -> list[Item]:
    """Return the replies in held-out conversations to questions that training data do not have.

    A conversation is held out by its whole content, so that its beginning may be in another one.
    """
    known = {one.conversation[: one.place] for one in _items(train)}
    return [one for one in _items(docs) if one.conversation[: one.place] not in known]


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
