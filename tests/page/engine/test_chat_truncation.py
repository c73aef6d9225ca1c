"""Compare how JavaScript and Python truncate conversations to the context."""

from hypothesis import given
from hypothesis import strategies as st
from javascript import answer_of, as_read, few

from microgpt import Message
from microgpt.data.context import fit_conversation
from microgpt.data.folding import FoldingTokenizer

CODE = """
import { fitConversation } from "./chat_truncation.js";
import { FoldingTokenizer } from "./folding.js";
function answer([chars, size, messages]) {
  return fitConversation(messages, new FoldingTokenizer(chars, true), size);
}
"""
MESSAGES = st.builds(
    Message, st.sampled_from(["user", "assistant"]), st.text("abÄ ☃\t\u3000", max_size=6)
)
CASES = st.tuples(
    st.sampled_from(["ab", "ab ", "c"]),
    st.integers(1, 40),
    st.lists(MESSAGES, min_size=1, max_size=6),
)


def fitted(chars: str, size: int, messages: list[Message]) -> dict:
    prompt = fit_conversation(messages, FoldingTokenizer(chars, is_chat=True), size)
    return {
        "tokens": list(prompt.tokens),
        "messages": facts_of(prompt.messages),
        "tokensDropped": prompt.tokens_dropped,
        "unknownCharacters": prompt.unknown_characters,
        "nReplies": prompt.n_replies,
    }


def facts_of(messages) -> list[dict[str, str]]:
    return [{"role": each.role, "content": as_read(each.content)} for each in messages]


@few
@given(st.lists(CASES, min_size=60))
def test_javascript_truncates_conversations_as_python_does(node, cases) -> None:
    inputs = [[chars, size, facts_of(messages)] for chars, size, messages in cases]
    assert node(CODE, inputs) == [answer_of(fitted, *case) for case in cases]
