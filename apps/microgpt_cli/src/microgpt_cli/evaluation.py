"""Documents, held-out sets and replies of `microgpt eval`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from microgpt import (
    Answer,
    ConfigError,
    Document,
    ExactMatches,
    HeldOutLoss,
    InferenceGpt,
    Item,
    ReadOptions,
    SavedModel,
    Tokenizer,
    answer_all,
    bits,
    load_chat_tests,
    load_documents,
    mark,
    percentage,
    printable,
)
from microgpt_cli.terminal.console import note, quoted
from microgpt_cli.terminal.progress_bar import with_progress

N_ERRORS = 3  # number of errors printed per task; --json prints all errors
CLIP = 48  # maximum number of characters printed per text


def read_file(
    data: Path, column: str | None, me: str | None, separator: str | None, saved: SavedModel
) -> tuple[Sequence[Document], Sequence[Item]]:
    """Return the documents of a file, and for a chat model the replies that have a task."""
    if saved.tokenizer.is_chat:
        for flag, value in (("--column", column), ("--separator", separator)):
            if value is not None:
                raise ConfigError(f"{flag} cannot be used with a chat model; omit {flag}")
        exam = load_chat_tests(data, me=me, tell=note)
        return exam.conversations, exam.items
    if me is not None:
        raise ConfigError("--me requires a chat model; omit --me")
    how = ReadOptions(saved.config.text, column, separator=separator)
    found = load_documents(data, how, tell=note)
    return [found] if isinstance(found, str) else found, ()


def loss_lines(found: HeldOutLoss, share: float | None, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the lines of a report on the loss of documents.

    Args:
        share: share of the documents that the model has read; None if it is unknown.
    """
    yield f"documents:  {found.n_docs}"
    yield f"tokens:     {found.n_tokens}{' in assistant messages' if tokenizer.is_chat else ''}"
    yield f"loss:       {found.loss:.4f} nats per token ({bits(found.loss):.4f} bits){mark(share)}"
    if tokenizer.kind != "char":
        yield f"characters: {found.n_characters} ({found.bits_per_character:.4f} bits each)"


def generate_replies(model: InferenceGpt, items: Sequence[Item], threads: int) -> list[Answer]:
    """Return the model's reply to each item."""
    answers = list(with_progress(answer_all(model, items, threads=threads), len(items), "replies"))
    if n := sum(answer.is_cut for answer in answers):
        note(f"the oldest turns of {n} of {len(items)} prompts were dropped to fit the context")
    return answers


def report_lines(answers: Sequence[Answer], share: float | None) -> Iterator[str]:
    """Yield the lines of a report on the answers; for `share`, see `loss_lines`."""
    score, tasks = ExactMatches.of(answers), _by_task(answers)
    yield f"replies:    {score.n}, {percentage(score.share)} exact{mark(share)}"
    yield ""
    rows = [(printable(task, CLIP), ExactMatches.of(some)) for task, some in tasks.items()]
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
    score = ExactMatches.of(answers)
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
            last = repr(said if len(said) <= CLIP else f"...{said[-CLIP:]}")
            where = f"  {printable(task, CLIP)}, {item.unit} {item.line}: {last}"
            if answer.reply is None:
                yield f"{where}: {answer.problem}"
            else:
                expected, got = quoted(answer.expected, CLIP), quoted(answer.reply, CLIP)
                yield f"{where}: expected {expected}, got {got}"
