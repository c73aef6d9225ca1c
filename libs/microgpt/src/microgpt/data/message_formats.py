"""Convert messages from the JSON formats of ShareGPT, Alpaca and Dolly to that of OpenAI."""

from collections.abc import Mapping
from typing import Any

from microgpt.data.tokenizer import IGNORED_ROLES, ROLES

# Names of the fields, or columns, that contain a question and its answer.
PAIRS = (
    ("prompt", "completion"), ("question", "answer"), ("instruction", "output"),
    ("instruction", "response"), ("prompt", "response"), ("prompt", "chosen"),
)  # fmt: skip
CONTEXTS = ("input", "context")  # the text to which an instruction refers, in Alpaca and Dolly
ROLE_NAMES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}


def turns_in(value: Any) -> list[Any] | None:
    """Return the messages in a JSON value or in a table row; None if it is not a conversation.

    A question without an answer, or an answer without a question, becomes a user message.
    """
    if isinstance(value, dict):
        if pair := question_in(value):
            texts = (text for text in pair if text not in ("", None))
            return [{"role": r, "content": each} for r, each in zip(ROLES, texts, strict=False)]
        value = value.get("messages", value.get("conversations"))
    first = value[0] if isinstance(value, list) and value else None
    pairs = {"role", "content"}, {"from", "value"}
    if not (isinstance(first, dict) and any(first.keys() >= pair for pair in pairs)):
        return None
    return [_in_openai_format(turn) if isinstance(turn, dict) else turn for turn in value]


def question_in(row: Mapping[str, Any]) -> list[Any] | None:
    """Return the question and the answer in a row or object; None if it has no such fields."""
    fields = {name.lower(): value for name, value in row.items()}
    pair = next((pair for pair in PAIRS if fields.keys() >= {*pair}), None)
    if not pair:
        return None
    question, answer = (fields[name] for name in pair)
    for name in CONTEXTS if pair[0] == "instruction" else ():
        if isinstance(question, str) and isinstance(text := fields.get(name), str) and text.strip():
            question = f"{question}\n\n{text}"
    return [question, answer]


def _in_openai_format(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a message in OpenAI's format; if all parts of its content are text, join them."""
    role = turn.get("role", turn.get("from"))
    name = str(role).lower()
    name = ROLE_NAMES.get(name, name)
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content]
        content = "".join(texts) if all(isinstance(text, str) for text in texts) else content
    return {**turn, "role": name if name in (*ROLES, *IGNORED_ROLES) else role, "content": content}
