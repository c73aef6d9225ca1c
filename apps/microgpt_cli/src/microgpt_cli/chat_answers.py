"""Replies of a chat model to questions with known answers: after its training, and in `eval`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple, TypeVar

from microgpt import (
    Answer,
    Document,
    ExactMatches,
    InferenceGpt,
    Item,
    ReplyTest,
    Split,
    TrainResult,
    answer_all,
    forms,
    mark,
    percentage,
    printable,
    read_forms,
    reply_plugin,
)
from microgpt_cli.terminal.console import note, quoted
from microgpt_cli.terminal.progress_bar import with_progress

T = TypeVar("T")

N_QUESTIONS = 200  # maximum number of questions; the 95 % interval is at most ± 7 %
N_SHOWN, CLIP = 2, 80  # number of replies to print, and maximum length of a printed text
N_ERRORS = 3  # number of errors that `eval` prints per task; --json prints all errors
EVAL_CLIP = 48  # maximum number of characters that `eval` prints per text


class ChatAnswers(NamedTuple):
    """A model's greedy replies to questions."""

    answers: Sequence[Answer]
    are_held_out: bool = False  # else, the questions are those of the training data
    contamination: float | None = 0.0  # share of held-out data that was read before, if known
    others: Sequence[tuple[ReplyTest, ExactMatches]] = ()  # a plug-in has these tests

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Two questions with their replies, preferably from the start of a conversation."""
        best_first = sorted(self.answers, key=lambda one: (one.reply is None, one.item.place != 1))
        replies: dict[str, str] = {}
        for one in best_first:
            replies.setdefault(one.item.prompt, one.reply or one.problem or "")
        return [*replies.items()][:N_SHOWN]

    def lines(self) -> Iterator[str]:
        """Yield the lines that report the answers."""
        score = ExactMatches.from_answers(self.answers)
        where = "held-out questions" if self.are_held_out else "questions of the training data"
        share = f"({percentage(score.share)}){mark(self.contamination)}"
        yield f"exact answers        {score.n_exact} of {score.n} {where} {share}"
        for test, found in self.others:
            share = percentage(found.share)
            yield f"{'':20} {found.n_exact} of {found.n} made-up {test.what} ({share})"
        yield "\n--- replies (temperature 0) ---"
        for question, reply in self.shown:
            yield f"user:      {printable(question, CLIP)}"
            yield f"assistant: {printable(reply, CLIP)}"

    def facts(self) -> dict[str, object]:
        """Return the fields of `train --json`."""
        score = asdict(ExactMatches.from_answers(self.answers)) | {"held_out": self.are_held_out}
        if self.contamination != 0:
            score["contamination"] = self.contamination
        score |= {test.name: asdict(found) for test, found in self.others}
        shown = [{"user": question, "assistant": reply} for question, reply in self.shown]
        return {"exact_answers": score, "replies": shown}


def answer_questions(result: TrainResult, sets: Split) -> ChatAnswers | None:
    """Return a chat model's replies; None for the slow reference engine.

    The questions are held out if possible, or else those of the training data.
    """
    if result.plan.engine == "reference":
        return None
    model = InferenceGpt(result)
    for name, extra in result.extra.items():
        learned, *others = reply_plugin(name).tests(extra)
        scores = [
            (test, ExactMatches.from_answers([*answer_all(model, test.items)])) for test in others
        ]
        return ChatAnswers([*answer_all(model, learned.items)], others=scores)
    name = "test" if sets.test else "validation"
    if held_out := _new_items(getattr(sets, name), sets.read_before(name)):
        # The share of the whole set, of which the questions in this training are left out.
        share = result.plan.contamination[name] if result.plan.ancestor_data else 0.0
        return ChatAnswers([*answer_all(model, _spread(held_out))], True, share)
    return ChatAnswers([*answer_all(model, _spread(_items(_spread(sets.train))))])


def _new_items(held_out: Sequence[Document], read: Iterable[Document]) -> list[Item]:
    """Return the held-out replies to questions that were not read.

    A conversation is held out as a whole, so a part of it may also occur in a different one.
    """
    trained = {*read_forms(read, first=1)} if held_out else set()
    return [
        one
        for one in _items(held_out)
        if trained.isdisjoint(forms(one.conversation[: one.place], one.place))
    ]


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


def generate_replies(model: InferenceGpt, items: Sequence[Item], threads: int) -> list[Answer]:
    """Return the model's reply to each item."""
    answers = list(with_progress(answer_all(model, items, threads=threads), len(items), "replies"))
    if n := sum(answer.is_cut for answer in answers):
        note(f"the oldest turns of {n} of {len(items)} prompts were dropped to fit the context")
    return answers


def report_lines(answers: Sequence[Answer], share: float | None) -> Iterator[str]:
    """Yield the lines of a report on the answers.

    Args:
        share: share of the documents that the model has read; None if it is unknown.
    """
    score, tasks = ExactMatches.from_answers(answers), _by_task(answers)
    yield f"replies:    {score.n}, {percentage(score.share)} exact{mark(share)}"
    yield ""
    rows = [
        (printable(task, EVAL_CLIP), ExactMatches.from_answers(some))
        for task, some in tasks.items()
    ]
    yield from _table([*rows, ("all tasks", score)], share)
    yield from _errors(tasks)


def reply_facts(answers: Sequence[Answer]) -> dict[str, object]:
    """Return the report, with all errors, as a JSON object."""
    return {
        **_share(answers),
        "n_cut": sum(answer.is_cut for answer in answers),
        "tasks": {task: _share(some) for task, some in _by_task(answers).items()},
        "errors": [
            {
                "task": answer.item.task,
                "line": answer.item.line,
                "message": answer.item.place,
                "prompt": answer.item.prompt,
                "expected": answer.expected,
                "reply": answer.reply,
                "problem": answer.problem,
            }
            for answer in answers
            if not answer.is_exact
        ],
    }


def _by_task(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.item.task, []).append(answer)
    return dict(sorted(found.items()))


def _share(answers: Sequence[Answer]) -> dict[str, object]:
    score = ExactMatches.from_answers(answers)
    return {**asdict(score), "share": score.share, "interval": score.interval}


def _table(rows: Sequence[tuple[str, ExactMatches]], share: float | None) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    yield f"{'task':<{width}} {'n':>7} {'exact':>7} {'share':>7}   95% interval{mark(share)}"
    for name, score in rows:
        low, high = score.interval
        counts = f"{score.n:>7,} {score.n_exact:>7,} {score.share:>7.1%}"
        yield f"{name:<{width}} {counts}   {percentage(low)} to {percentage(high)}"


def _errors(tasks: dict[str, list[Answer]]) -> Iterator[str]:
    """Yield lines with the first errors of each task."""
    wrong = {task: [one for one in some if not one.is_exact] for task, some in tasks.items()}
    if any(wrong.values()):
        yield ""
        yield f"errors, up to {N_ERRORS} per task"
    for task, answers in wrong.items():
        for answer in answers[:N_ERRORS]:
            item = answer.item
            said = " / ".join(message.content for message in item.conversation[: item.place])
            last = repr(said if len(said) <= EVAL_CLIP else f"...{said[-EVAL_CLIP:]}")
            where = f"  {printable(task, EVAL_CLIP)}, {item.unit} {item.line}: {last}"
            if answer.reply is None:
                yield f"{where}: {answer.problem}"
            else:
                expected, got = quoted(answer.expected, EVAL_CLIP), quoted(answer.reply, EVAL_CLIP)
                yield f"{where}: expected {expected}, got {got}"
