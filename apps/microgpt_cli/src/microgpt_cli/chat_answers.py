"""Compare a chat model's replies with the expected ones, after training and in `eval`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

from microgpt import (
    Answer,
    Document,
    ExactMatches,
    InferenceGpt,
    Item,
    Split,
    TrainResult,
    answer_all,
    mark,
    percentage,
    printable,
    reply_plugin,
)
from microgpt_cli.terminal.console import note, quoted
from microgpt_cli.terminal.progress_bar import with_progress

N_QUESTIONS = 200  # maximum number of questions; the accuracy's 95 % interval is then at most ± 7 %
N_SHOWN, CLIP = 2, 80  # number of replies to print, and maximum length of a printed message
N_ERRORS = 3  # maximum number of errors to print per task; --json prints all
ERROR_CLIP = 48  # maximum number of characters of each text in a printed error


class ChatAnswers(NamedTuple):
    """A model's greedy replies to questions, and their scores per task."""

    answers: Sequence[Answer]
    contamination: float | None = 0.0  # fraction of conversations used in training; None if unknown

    def lines(self) -> Iterator[str]:
        """Yield the lines of a table of exact matches per task, and each task's first errors."""
        tasks = self._tasks()
        rows = [*((printable(task, ERROR_CLIP), some) for task, some in tasks.items())]
        if len(rows) > 1:
            rows.append(("all tasks", [*self.answers]))
        width = max(len("exact answers"), *(len(name) for name, _ in rows))
        where = f"95% interval{mark(self.contamination)}"
        yield f"{'exact answers':<{width}} {'n':>7} {'exact':>7} {'share':>7}   {where}"
        for name, some in rows:
            score = ExactMatches.from_answers(some)
            low, high = map(percentage, score.interval)
            counts = f"{score.n:>7,} {score.n_exact:>7,} {score.share:>7.1%}"
            yield f"{name:<{width}} {counts}   {low} to {high}"
        errors = [one for some in tasks.values() for one in _errors(some)[:N_ERRORS]]
        if errors:
            yield ""
            yield f"errors, up to {N_ERRORS} per task"
        for answer in errors:
            item = answer.item
            prompt, expected = quoted(item.prompt, ERROR_CLIP), quoted(answer.expected, ERROR_CLIP)
            got = f"expected {expected}, got {quoted(answer.reply or '', ERROR_CLIP)}"
            where = f"{printable(item.task, ERROR_CLIP)}, {item.unit} {item.line}: {prompt}"
            yield f"  {where}: {answer.problem or got}"

    def samples(self) -> Iterator[str]:
        """Yield lines with two questions and the replies, if possible from conversation starts."""
        first = [one for one in self.answers if one.item.place == 1] or self.answers
        replies = {one.item.prompt: one.reply or one.problem or "" for one in first}
        yield ""
        yield "--- replies (temperature 0) ---"
        for prompt in [*replies][:N_SHOWN]:
            yield f"user:      {printable(prompt, CLIP)}"
            yield f"assistant: {printable(replies[prompt], CLIP)}"

    def facts(self) -> dict[str, object]:
        """Return the scores and all errors as the field `replies` of a JSON object."""
        facts = {
            **_score_facts(self.answers),
            "contamination": self.contamination,
            "n_cut": sum(answer.is_cut for answer in self.answers),
            "tasks": {task: _score_facts(some) for task, some in self._tasks().items()},
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
                for answer in _errors(self.answers)
            ],
        }
        return {"replies": facts}

    def _tasks(self) -> dict[str, list[Answer]]:
        """Group the answers by task, in alphabetical order of the tasks."""
        found: dict[str, list[Answer]] = {}
        for answer in sorted(self.answers, key=lambda one: one.item.task):
            found.setdefault(answer.item.task, []).append(answer)
        return found


def answer_questions(result: TrainResult, sets: Split) -> ChatAnswers | None:
    """Return a chat model's replies to questions, or None for the reference engine, which is slow.

    A reply plug-in defines its own questions. By default, the questions are those of held-out
    conversations or, if there are none, of training conversations.
    """
    if result.plan.engine == "reference":
        return None
    model = InferenceGpt(result)
    for name, extra in result.extra.items():
        return ChatAnswers([*answer_all(model, reply_plugin(name).tests(extra))])
    name = "test" if sets.test else "validation"
    if held_out := _items(getattr(sets, name), "held-out questions"):
        share = result.plan.contamination.get(name, 0.0)
        return ChatAnswers([*answer_all(model, held_out)], share)
    return ChatAnswers([*answer_all(model, _items(sets.train, "questions of the training data"))])


def _items(docs: Sequence[Document], task: str) -> list[Item]:
    """Return the replies in conversations as test items, at most N_QUESTIONS, evenly spaced."""
    items = [
        Item(task, tuple(doc), place, line, "conversation")
        for line, doc in enumerate(docs, start=1)
        if not isinstance(doc, str)
        for place, message in enumerate(doc)
        if message.role == "assistant"
    ]
    return items[:: max(1, -(-len(items) // N_QUESTIONS))]


def generate_replies(model: InferenceGpt, items: Sequence[Item], threads: int) -> list[Answer]:
    """Return the model's reply to each item, and show the progress on stderr."""
    answers = list(with_progress(answer_all(model, items, threads=threads), len(items), "replies"))
    if n := sum(answer.is_cut for answer in answers):
        note(f"{n} of {len(items)} prompts lost their oldest turns to fit into the context")
    return answers


def _errors(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if not answer.is_exact]


def _score_facts(answers: Sequence[Answer]) -> dict[str, object]:
    score = ExactMatches.from_answers(answers)
    return {**asdict(score), "share": score.share, "interval": score.interval}
