import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_conversations
from microgpt.data.documents import load_documents
from microgpt.data.text_file import ConversationsError, ReadOptions
from microgpt.data.transcript import is_transcript

CHATML = "<|im_start|>user\nhi\n\nyou<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
SYSTEM = "<|im_start|>system\nBe kind.<|im_end|>\n"
TWO = [["hi", "yo"], ["and?", "no"]]


@pytest.mark.parametrize(
    ("content", "talks"),
    [
        ("User: hi\nBot: yo\nUser: and?\nBot: no\n", TWO),
        ("User: hi\nBot: yo\n\nUser: and?\nBot: no\n", TWO),
        ("User: hi\n\nBot: yo\n\nUser: and?\n\nBot: no\n", TWO),
        ("Q: hi\nA: yo\nQ: and?\nA: no\n", TWO),
        ("### Instruction:\nhi\n\n### Response:\nyo\n\n### Instruction:\nand?\n\n"
         "### Response:\nno\n", TWO),
        ("User: hi\nBot: yo\nyo\nUser: and?\nBot: no\n\nHuman: a\nAI: b\n",
         [["hi", "yo\nyo", "and?", "no"], ["a", "b"]]),
        ("Bot: welcome\nUser: hi\nBot: yo\n", [["hi", "yo"]]),
        (CHATML + "\n" + SYSTEM + CHATML, [["hi\n\nyou", "yo"]] * 2),
        ("**User:** hi\n**Assistant:** yo\n", [["hi", "yo"]]),
    ],
)  # fmt: skip
def test_transcripts_are_conversations_unless_read_as_lines(write, content, talks) -> None:
    path = write(content)
    assert [[turn.content for turn in talk] for talk in load_conversations(path)] == talks
    with pytest.raises(ConversationsError, match=r"read them with --chat, or as text with --text"):
        load_documents(path, ReadOptions())
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    assert load_documents(path, ReadOptions("lines", separator="line")) == lines


@pytest.mark.parametrize(
    "text",
    ["X:1\nQ:1/4=120\nA:Donegal\n", "ROMEO: hi\nJULIET: yo\n", "A: hi\nB: yo\n", "User: hi\n" * 3,
     "Hello.\nUser: hi\nBot: yo\n", "user hi\nbot yo\n"],
)  # fmt: skip
def test_text_that_only_resembles_a_transcript_is_not_read_as_one(text) -> None:
    assert not is_transcript(text.splitlines())


exchanges = st.lists(st.tuples(*[st.text("abc.", min_size=1)] * 2), min_size=1)


@given(st.lists(exchanges, min_size=2))
def test_conversations_between_blank_lines_are_kept_whole(tmp_path_factory, talks) -> None:
    path = tmp_path_factory.getbasetemp() / "talks.txt"
    texts = ["".join(f"User: {q}\nBot: {a}\n" for q, a in talk) for talk in talks]
    path.write_text("\n".join(texts))
    found = [[turn.content for turn in talk] for talk in load_conversations(path)]
    assert found == [[text for pair in talk for text in pair] for talk in talks]
