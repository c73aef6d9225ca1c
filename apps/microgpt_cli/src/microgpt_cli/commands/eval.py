"""`microgpt eval`: held-out loss and exact-match score on a file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt import ConfigError, TokenizerError, check_threads, percentage, printable
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.progress import load_kernels, with_progress

if TYPE_CHECKING:
    from microgpt import (
        Answer,
        Bounds,
        Document,
        ExactMatches,
        InferenceGpt,
        Item,
        SavedModel,
        Tokenizer,
        Use,
    )

N_ERRORS = 3  # number of errors printed per task; --json prints all errors
N_WRONG_REPLIES, N_WRONG_REPLIES_JSON = 3, 10
N_CHARACTERS = 10  # number of unknown characters that are listed
CLIP = 48  # maximum number of characters printed per text


@examples("microgpt eval my-model --data held-out.txt")
def evaluate(
    data: Path = opt.option(
        ...,
        f"{opt.TEXT_HELP}, or one running text if the model was trained with --text stream; for a "
        "chat model, JSONL, one conversation per line, or an exported chat.",
    ),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    column: str | None = opt.COLUMN,
    me: str | None = opt.ME,
    separator: str | None = opt.SEPARATOR,
    threads: int = opt.THREADS,
    as_json: bool = opt.AS_JSON,
) -> None:
    """Measure how well a model predicts a file.

    The loss is in nats and bits per token, including the end of each document. For subword tokens,
    it is also printed in bits per character, to compare tokenizers. Use documents that the model
    was not trained on. For its training data, the losses of the held-out sets are also printed.
    Documents longer than the context are read in overlapping windows.

    For a chat model, the loss covers only the assistant's tokens. If replies in the file have a
    task, the model generates these replies at temperature 0, and the command prints the share of
    exact matches per task and the most frequent wrong replies.
    """
    check_threads(threads)
    model_dir = opt.one_of(model, model_option, "--model") or opt.DEFAULT_MODEL_DIR

    from microgpt import InferenceGpt, bits, count_all
    from microgpt_cli.model_loading import engine_for, load_model, note_training_data

    saved = load_model(model_dir)
    docs, items = _load(data, column, me, separator, saved)
    uses: list[Use] = ["evaluation", "decoding"] if items else ["evaluation"]
    lengths = (count_all(doc, saved.text, len) for doc in docs)
    engine = engine_for(saved, lengths)
    load_kernels(engine, saved.dtype, uses=uses)
    gpt = InferenceGpt(saved, engine=engine)
    result = gpt.evaluate(docs, text=saved.text, threads=threads)
    share = note_training_data(docs, saved, model_dir)
    held_out = [
        (name, gpt.evaluate(part, text=saved.text, threads=threads), bounds)
        for name, part, bounds in _held_out(docs, saved)
    ]
    answers, seconds = _generate_replies(gpt, items, threads) if items else ([], 0.0)
    if as_json:
        facts = {**asdict(result), "bits_per_character": result.bits_per_character}
        facts["training_share"] = share
        facts |= {name: {**asdict(loss), "contamination": own} for name, loss, own in held_out}
        print(json.dumps(facts | ({"replies": _reply_facts(answers, seconds)} if answers else {})))
        return
    which = " in assistant messages" if gpt.tokenizer.is_chat else ""
    print(f"documents:  {result.n_docs}\ntokens:     {result.n_tokens}{which}")
    print(f"loss:       {result.loss:.4f} nats per token ({bits(result.loss):.4f} bits)")
    if gpt.tokenizer.kind != "char":
        print(f"characters: {result.n_characters} ({result.bits_per_character:.4f} bits each)")
    for name, loss, bounds in held_out:
        print(f"{name + ':':<11} {loss.loss:.4f} nats per token, held out{bounds}")
    for line in report_lines(answers, seconds) if answers else ():
        print(line)


def _load(
    data: Path, column: str | None, me: str | None, separator: str | None, saved: "SavedModel"
) -> "tuple[Sequence[Document], Sequence[Item]]":
    """Return the documents of a file, and for a chat model the replies that have a task."""
    from microgpt import ReadOptions, TextFile, load_chat_tests, load_documents

    if saved.tokenizer.is_chat:
        for flag, value in (("--column", column), ("--separator", separator)):
            if value is not None:
                raise ConfigError(f"{flag} cannot be used with a chat model; omit {flag}")
        exam = load_chat_tests(data, me=me, tell=note)
        _check_characters(exam.conversations, saved.tokenizer, exam.places)
        return exam.conversations, exam.items
    if me is not None:
        raise ConfigError("--me requires a chat model; omit --me")
    file = TextFile(data)
    file.places = []
    how = ReadOptions(saved.text, column, separator=separator)
    found = load_documents(file, how, tell=note)
    docs = [found] if isinstance(found, str) else found
    numbers = [] if separator is None else [f"document {n}" for n, _ in enumerate(docs, start=1)]
    _check_characters(docs, saved.tokenizer, file.places or numbers or data)
    return docs, ()


def _held_out(
    docs: "Sequence[Document]", saved: "SavedModel"
) -> "Iterator[tuple[str, Sequence[Document], Bounds]]":
    """Yield the held-out sets of the documents if the model was trained on these documents."""
    from microgpt import contamination, recorded_facts, split_again

    if facts := recorded_facts(docs, saved.trained_on):
        parts = split_again(docs, facts)
        sets = contamination(parts, saved.trained_on, saved.tokenizer)
        for name, bounds in sets.items():
            yield name, getattr(parts, name), bounds


def _check_characters(
    docs: "Sequence[Document]", tokenizer: "Tokenizer", places: Path | Sequence[str]
) -> None:
    """Raise TokenizerError with the unknown characters, if there are any.

    `places` are the locations of the documents, or the path of a text file to search.
    """
    from microgpt import TextFile, texts_of

    chars = set().union(*chain.from_iterable(map(texts_of, docs)))
    if unknown := tokenizer.unknown_characters("".join(sorted(chars))):
        known = chars.difference(unknown)
        has_other = [not all(map(known.issuperset, texts_of(doc))) for doc in docs]
        n, first = sum(has_other), has_other.index(True)
        if isinstance(places, Path):
            has_unknown = (not set(unknown).isdisjoint(line) for line in TextFile(places))
            number = next((i for i, has in enumerate(has_unknown, 1) if has), None)
            place = f"line {number}" if number else f"document {1 + first}"  # a pipe has no lines
        else:
            place = places[first]
        named = ", ".join(map(repr, unknown[:N_CHARACTERS]))
        if n_more := len(unknown[N_CHARACTERS:]):
            named += f" and {n_more:,} more"
        remedy = "remove these documents" if 2 * n <= len(docs) else "use another model or text"
        raise TokenizerError(
            f"the vocabulary does not contain {named}, found in {n:,} of {len(docs):,} "
            f"documents, first in {place}; {remedy}"
        )


def _generate_replies(
    model: "InferenceGpt", items: "Sequence[Item]", threads: int
) -> "tuple[list[Answer], float]":
    """Return the model's reply to each item, and the total time in seconds."""
    from microgpt import answer_all

    started = perf_counter()
    answers = list(with_progress(answer_all(model, items, threads=threads), len(items), "replies"))
    seconds = perf_counter() - started
    if n := sum(answer.is_cut for answer in answers):
        note(f"the oldest turns of {n} of {len(items)} prompts were dropped to fit the context")
    return answers, seconds


def report_lines(answers: "Sequence[Answer]", seconds: float) -> Iterator[str]:
    """Yield the lines of a report on the answers; `seconds` is the generation time."""
    from microgpt import ExactMatches, by_task, wrong_replies

    score, tasks = ExactMatches.of(answers), by_task(answers)
    n_tokens = sum(answer.n_tokens for answer in answers)
    speed = f"{n_tokens / seconds:,.0f} tokens/s"
    yield f"replies:    {score.n}, {percentage(score.share)} exact ({speed})"
    yield ""
    rows = [(printable(task, CLIP), ExactMatches.of(some)) for task, some in tasks.items()]
    yield from _table([*rows, ("all tasks", score)])
    if wrong := wrong_replies(answers)[:N_WRONG_REPLIES]:
        yield ""
        yield "most frequent wrong replies"
    for one in wrong:
        share = f"{percentage(one.n / one.n_items)} of the {one.n_items:,} items"
        yield f"  {_clip(one.reply)}: {one.n:,} times, {share} with a different answer"
    yield from _errors(tasks)


def _reply_facts(answers: "Sequence[Answer]", seconds: float) -> dict[str, object]:
    """Return the report, with all errors, as a JSON object."""
    from microgpt import by_task, wrong_replies

    n_tokens = sum(answer.n_tokens for answer in answers)
    return {
        **_share(answers),
        "n_cut": sum(answer.is_cut for answer in answers),
        "n_tokens": n_tokens,
        "seconds": seconds,
        "tokens_per_s": n_tokens / seconds,
        "tasks": {task: _share(some) for task, some in by_task(answers).items()},
        "wrong_replies": [asdict(wrong) for wrong in wrong_replies(answers)[:N_WRONG_REPLIES_JSON]],
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


def _share(answers: "Sequence[Answer]") -> dict[str, object]:
    from microgpt import ExactMatches

    score = ExactMatches.of(answers)
    return {**asdict(score), "share": score.share, "interval": score.interval}


def _table(rows: "Sequence[tuple[str, ExactMatches]]") -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    yield f"{'task':<{width}} {'n':>7} {'exact':>7} {'share':>7}   95% interval"
    for name, score in rows:
        low, high = score.interval
        counts = f"{score.n:>7,} {score.n_exact:>7,} {score.share:>7.1%}"
        yield f"{name:<{width}} {counts}   {percentage(low)} to {percentage(high)}"


def _errors(tasks: "dict[str, list[Answer]]") -> Iterator[str]:
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
                yield f"{where}: expected {_clip(answer.expected)}, got {_clip(answer.reply)}"


def _clip(text: str) -> str:
    """Return the start of a text as one line, quoted and escaped."""
    return repr(text if len(text) <= CLIP else f"{text[:CLIP]}...")
