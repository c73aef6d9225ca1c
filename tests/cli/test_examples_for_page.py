from microgpt import Message
from microgpt.data.split import split
from microgpt_cli.training.inputs import first_messages

DOCS = [
    (Message("user", text), Message("assistant", reply))
    for text, reply in (
        ("hi", "no"), ("x" * 61, "yes"), ("is it open?", "yes"), ("hi", "yes"),
        ("my secret", "yes"), ("how much?", "secret"), ("where?", "yes"), ("when?", "yes"),
    )
]  # fmt: skip


def test_the_first_short_messages_are_the_examples() -> None:
    parts = split([(Message("assistant", "hello"),), *DOCS])
    assert first_messages(parts) == ("hi", "is it open?", "my secret", "how much?")


def test_a_held_out_document_gives_no_example() -> None:
    docs = [(Message("user", f"number {i}"), Message("assistant", "yes")) for i in range(40)]
    parts = split(docs, validation=0.5)
    held_out = {doc[0].content for doc in parts.validation}
    assert held_out.isdisjoint(first_messages(parts))
