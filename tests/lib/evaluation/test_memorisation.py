import pytest

from microgpt import BpeTokenizer
from microgpt.evaluation.memorisation import KnownTexts


@pytest.mark.parametrize("vocab_size", [257, 259, 300])
@pytest.mark.parametrize("text", ["anna and emma went away", "漢字 漢字 漢字 漢字"])
def test_a_truncated_known_text_is_recognised_in_any_tokens(text, vocab_size) -> None:
    """A model may write a text in smaller pieces than it has read it in; then it gets less far."""
    tokenizer = BpeTokenizer.from_documents([text], vocab_size=vocab_size)
    pieces = BpeTokenizer.from_documents([text], vocab_size=257)
    known = KnownTexts([text, "mia"], room=8)
    for tokens in (tokenizer.encode(text), pieces.encode(text)):
        assert tokenizer.decode(tokens[:8]) in known
    assert "mia" in known
    assert not [other for other in ("", "mi", "anna", "漢", "mia mia mia") if other in known]


def test_known_texts_include_any_part_of_running_text() -> None:
    known = KnownTexts(["anna\nund 漢字"], room=8, text="stream")
    parts = ["nna\nu", "anna\nund 漢字", "und 漢\ufffd", "\ufffd字", "anno", "u\ufffdnd", "\ufffd"]
    assert [part in known for part in parts] == [True] * 4 + [False] * 3
