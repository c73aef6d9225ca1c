"""The plug-in of few questions: see `microgpt.replies.ReplyPlugin`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from microgpt_characters.questions.known_questions import (
    LEAST_SIMILAR,
    N_SUGGESTED,
    KnownQuestions,
    check_reply,
)

if TYPE_CHECKING:
    from microgpt import Document, Given, Preparation, ReplyTest, Tokenizer


def prepare(
    docs: "Sequence[Document]", given: "Given", tell: Callable[[str], None]
) -> "Preparation | None":
    """Return what training needs if the documents are a few questions."""
    from microgpt_characters import few_questions

    return few_questions.prepare(docs, given, tell)


def hook(extra: Any, tokenizer: "Tokenizer", options: Mapping[str, Any]) -> KnownQuestions:
    """Return the questions that a model knows.

    Args:
        options: "unknown", another reply to unknown questions; "suggest", whether to suggest some.

    Raises:
        CheckpointError: the record is damaged.
        ConfigError: the reply is blank.
        TokenizerError: the reply has characters that the model does not know.
    """
    known = KnownQuestions.from_json(extra)
    if (reply := options.get("unknown")) is not None:
        check_reply(reply)
        tokenizer.encode(reply)
        known = replace(known, reply=reply)
    return replace(known, suggests=True) if options.get("suggest") else known


def tests(extra: Any) -> "Sequence[ReplyTest]":
    """Return the known questions, rewordings of them, and unknown questions."""
    from microgpt_characters.questions.wordings import reply_tests

    return reply_tests(KnownQuestions.from_json(extra))


def page_facts(extra: Any) -> Mapping[str, Any]:
    """Return the questions that a model knows, and the data for matching them."""
    from microgpt_characters.questions import matching as m

    known = KnownQuestions.from_json(extra)
    return {
        "conversations": [[message.content for message in talk] for talk in known.conversations],
        "reply": known.reply,
        "confidence": known.confidence,
        "suggests": known.suggests,
        "nSuggested": N_SUGGESTED,
        "leastSimilar": LEAST_SIMILAR,
        "matching": {
            _in_javascript(name): sorted(value) if isinstance(value, frozenset) else value
            for name, value in vars(m).items()
            if name.isupper() and not name.startswith("_") and value is not m.WORD
        },
    }


def _in_javascript(constant: str) -> str:
    first, *others = constant.lower().split("_")
    return first + "".join(map(str.capitalize, others))
