"""Sample replies of a chat model after its training, and options that could improve them."""

from collections.abc import Iterator, Sequence
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
    bundled,
    forms,
    load_chat_tests,
    mark,
    percentage,
    printable,
    reply_plugin,
    trained_documents,
)

T = TypeVar("T")

# `fingerprint` of the bundled chat.jsonl.
CHAT_SHA256 = "a786e2a1bf6b993f56090299d08c2dec3255acaf61166dc7c17ab7a9c25cbe34"
N_QUESTIONS = 200  # maximum number of questions; the 95 % interval is at most ± 7 %
N_SHOWN, CLIP = 2, 80  # number of replies to print, and maximum length of a printed text
POOR = 0.9  # share of exact answers below which options that help are named
LONGER = "more conversations, or a longer training run (--minutes, --steps)"
BUNDLED = "--preset chat (98 %, in about five minutes; used for the demo model)"


class ChatAnswers(NamedTuple):
    """A model's greedy replies to questions."""

    answers: Sequence[Answer]
    are_held_out: bool  # else, the questions are those of the training data
    read_before: float | None  # share of held-out questions that were read before, if known
    advice: str | None  # the options that give better answers; None if the answers are good
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
        score = ExactMatches.of(self.answers)
        where = "held-out questions" if self.are_held_out else "questions of the training data"
        share = f"({percentage(score.share)}){mark(self.read_before) if self.are_held_out else ''}"
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
        score = asdict(ExactMatches.of(self.answers)) | {"held_out": self.are_held_out}
        if self.read_before != 0:
            score["contamination"] = self.read_before
        score |= {test.name: asdict(found) for test, found in self.others}
        shown = [{"user": question, "assistant": reply} for question, reply in self.shown]
        return {"exact_answers": score, "replies": shown, "advice": self.advice}


def answer_questions(result: TrainResult, parts: Split) -> ChatAnswers | None:
    """Return a chat model's replies; None for the slow reference engine.

    The questions are held out if possible, or else those of the training data. For the bundled
    conversations, they are those of chat_heldout.jsonl.
    """
    if result.plan.engine == "reference":
        return None
    for name, extra in result.extra.items():
        return _answer_tests(result, reply_plugin(name).tests(extra))
    is_generated = result.plan.input is not None and result.plan.input.suffix == ".toml"
    are_bundled = is_generated or result.plan.data.sha256 == CHAT_SHA256
    # No split says what a parent has read of the bundled file, and of other data.
    ancestors, known = result.plan.ancestor_data, 0.0
    own_sha256 = CHAT_SHA256 if are_bundled else result.plan.data.sha256
    is_unknown = any(each is None or each.sha256 != own_sha256 for each in ancestors)
    if are_bundled:
        held_out = load_chat_tests(bundled("chat_heldout.jsonl")).items
    else:
        held_out, known = _new_items(result, parts)
    items = held_out or _items(_spread(parts.train))
    answers = list(answer_all(InferenceGpt(result), _spread(items)))
    has_recipe = result.plan.parent_sha256 or "preset" in result.plan.given
    better = BUNDLED if are_bundled and not has_recipe else LONGER
    is_poor = ExactMatches.of(answers).share < POOR
    advice = f"for more exact answers: {better}" if is_poor else None
    return ChatAnswers(answers, bool(held_out), None if is_unknown else known, advice)


def _answer_tests(result: TrainResult, tests: Sequence[ReplyTest]) -> ChatAnswers:
    """Return the replies to the questions of a plug-in, and the scores of its other tests."""
    model, (known, *others) = InferenceGpt(result), tests
    answers, advice = [*answer_all(model, known.items)], None
    if ExactMatches.of(answers).share < POOR:
        advice = "for more exact answers: omit the options for the model and the training"
        if len({one.conversation[: one.place] for one in known.items}) < len(known.items):
            advice = "for more exact answers: give each question one answer; some have several"
    scores = [(test, ExactMatches.of([*answer_all(model, test.items)])) for test in others]
    return ChatAnswers(answers, False, 0.0, advice, scores)


def _new_items(result: TrainResult, parts: Split) -> tuple[list[Item], float]:
    """Return the held-out replies whose questions do not occur in the training data.

    A conversation is held out as a whole, so its beginning may also occur in a different one. The
    second value is the share of these questions that the parent or the teachers have read, or that
    are in the validation set, if they are those of the test set.
    """

    def is_in(known: set[str], one: Item) -> bool:
        return not known.isdisjoint(forms(one.conversation[: one.place], one.place))

    name, before = ("test", parts.validation) if parts.test else ("validation", ())
    by_others = trained_documents(parts.docs, result.plan.ancestor_data, name)
    sources = parts.train, (*before, *by_others)
    own, others = ({form for doc in docs for form in forms(doc, 1)} for docs in sources)
    new = [one for one in _items(parts.test or parts.validation) if not is_in(own, one)]
    return new, sum(is_in(others, one) for one in new) / max(1, len(new))


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
