"""What `microgpt eval` tells of replies: how many are exact, what was said instead, how fast."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from microgpt.evaluation.exact_match import Answer, Score, by_task, wrong_replies
from microgpt.printable import printable

N_ERRORS = 3  # of a task that are shown; --json has all
N_WRONG_REPLIES, N_WRONG_REPLIES_JSON = 3, 10
CLIP = 48  # characters of a text that are shown


def page(answers: Sequence[Answer], seconds: float) -> Iterator[str]:
    """Yield the lines of the page on at least one answer, which took so many seconds in all."""
    score, tasks = Score.of(answers), by_task(answers)
    yield (
        f"replies:    {score.n}, {score.share:.1%} of them exact "
        f"({_n_tokens(answers) / seconds:,.0f} tokens/s)"
    )
    yield ""
    rows = [(_named(task), Score.of(some)) for task, some in tasks.items()]
    yield from _table([*rows, ("all tasks", score)])
    yield from _wrong_replies(answers)
    yield from _errors({task: _wrong(some) for task, some in tasks.items()})


def n_cut(answers: Sequence[Answer]) -> int:
    """Return how many questions were asked without their oldest turns."""
    return sum(answer.is_cut for answer in answers)


def as_facts(answers: Sequence[Answer], seconds: float) -> dict[str, object]:
    """Return what `page` tells, and every error, for JSON."""
    return {
        **_facts(answers),
        "n_cut": n_cut(answers),
        "n_tokens": _n_tokens(answers),
        "seconds": seconds,
        "tokens_per_s": _n_tokens(answers) / seconds,
        "tasks": {task: _facts(some) for task, some in by_task(answers).items()},
        "wrong_replies": [asdict(wrong) for wrong in wrong_replies(answers)[:N_WRONG_REPLIES_JSON]],
        "errors": [
            {
                "task": answer.item.task,
                "line": answer.item.line,
                "message": answer.item.place,
                "prompt": answer.item.prompt,
                "expected": answer.item.expected,
                "reply": answer.reply,
                "problem": answer.problem,
            }
            for answer in _wrong(answers)
        ],
    }


def _facts(answers: Sequence[Answer]) -> dict[str, object]:
    score = Score.of(answers)
    return {**asdict(score), "share": score.share, "interval": score.interval}


def _table(rows: Sequence[tuple[str, Score]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    yield f"{'task':<{width}} {'n':>7} {'exact':>7} {'share':>7}   95% interval"
    for name, score in rows:
        low, high = score.interval
        yield (
            f"{name:<{width}} {score.n:>7,} {score.n_exact:>7,} {score.share:>7.1%}"
            f"   {low:.1%} to {high:.1%}"
        )


def _wrong_replies(answers: Sequence[Answer]) -> Iterator[str]:
    wrong = wrong_replies(answers)[:N_WRONG_REPLIES]
    if wrong:
        yield ""
        yield "what it says most often where it is wrong"
    for one in wrong:
        yield (
            f"  {_clip(one.reply)}: {one.n:,} times, {one.n / one.n_items:.1%} of the "
            f"{one.n_items:,} items with another answer"
        )


def _errors(wrong: dict[str, list[Answer]]) -> Iterator[str]:
    """Yield the first errors of each task."""
    if any(wrong.values()):
        yield ""
        yield f"errors, up to {N_ERRORS} of a task"
    for task, answers in wrong.items():
        for answer in answers[:N_ERRORS]:
            item = answer.item
            said = " / ".join(message.content for message in item.conversation[: item.place])
            where = f"  {_named(task)}, line {item.line}: {_clip_start(said)}"
            if answer.reply is None:
                yield f"{where}: {answer.problem}"
            else:
                yield f"{where} is {_clip(item.expected)}, not {_clip(answer.reply)}"


def _wrong(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if not answer.is_exact]


def _n_tokens(answers: Sequence[Answer]) -> int:
    return sum(answer.n_tokens for answer in answers)


def _named(task: str) -> str:
    return printable(task, CLIP)


def _clip(text: str) -> str:
    """Return the beginning of a text as it can stand in a line, whatever characters are in it."""
    return repr(text if len(text) <= CLIP else f"{text[:CLIP]}...")


def _clip_start(text: str) -> str:
    """Return its end."""
    return repr(text if len(text) <= CLIP else f"...{text[-CLIP:]}")
