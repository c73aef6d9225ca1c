from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import InferenceGpt, ModelConfig, TrainConfig, load, save
from microgpt.data.folding import FoldingTokenizer, char_tokenizer, fold, plain
from microgpt.data.tokenizer import CharTokenizer, Message
from microgpt.errors import TokenizerError
from microgpt.training.train import train

ALPHABET = " '-.abcdefghijklmnopqrstuvwxyz"
TOKENIZER = FoldingTokenizer(ALPHABET)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Jörg", "jorg"),
        ("STRASSE Straße", "strasse strasse"),
        ("Ærøskøbing, Łódź", "aeroskobing, lodz"),
        ("I’m – “here”…", 'i\'m - "here"...'),
        ("ΑΘΉΝΑ", "αθηνα"),
        ("한국어", "한국어"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_fold_removes_case_accents_and_typography(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize("dash", "\u2010\u2011\u2012\u2013\u2014\u2212\u2e3a\ufe63\uff0d")
def test_plain_gives_ascii_punctuation_without_hidden_characters(dash: str) -> None:
    unseen = "\u00ad\u200b\ufe0f\u061c\u2066\U000e0041"
    text = f" ‘A{unseen}b’ ‹B› ‚C‛ {dash}\n«c» 「d」 〝é〞 "
    assert plain(text) == "'ab' 'b' 'c' - \"c\" \"d\" \"e\""


@given(st.text())
def test_fold_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_only_characters_outside_the_vocabulary_are_folded() -> None:
    tokenizer = FoldingTokenizer("Aaé")
    assert tokenizer.decode(tokenizer.encode("AÁaé")) == "Aaaé"
    assert TOKENIZER.decode(TOKENIZER.encode("a\tb\nc\u00a0d")) == "a b c d"
    assert TOKENIZER.count("Straße Æ") == len(TOKENIZER.encode("Straße Æ")) == 10


def test_characters_that_cannot_be_folded_are_unknown() -> None:
    assert TOKENIZER.unknown_characters("Ünï 日本日!") == "日本!"
    with pytest.raises(TokenizerError, match="does not contain '日', '!'"):
        TOKENIZER.encode("Ä日!")


def test_a_saved_model_folds_prompts_and_further_training_data(tmp_path: Path) -> None:
    docs = ["Anna", "Émile"]
    tokenizer = FoldingTokenizer.from_documents(docs)
    assert "".join(tokenizer.chars) == "aeilmn"
    config = TrainConfig(steps=2)
    save(train(docs, tokenizer=tokenizer, config=config, model=ModelConfig(block_size=8)), tmp_path)
    model = load(tmp_path)
    assert '"fold": true' in (tmp_path / "meta.json").read_text()
    assert InferenceGpt(model).generate(prompt="ÉL")[0].startswith("ÉL")
    tuned = train(["Zoë"], parent=model, config=config)
    assert "".join(tuned.tokenizer.chars) == "aeilmnoz"


@pytest.mark.parametrize(("texts", "folds"), [(("hi", "yo, 你"), True), (("hi", "Yo"), False)])
def test_folding_needs_conversations_without_capitals_or_accents(texts, folds) -> None:
    conversation = tuple(map(Message, ("user", "assistant"), texts))
    found = train([conversation], config=TrainConfig(steps=1)).tokenizer
    assert isinstance(found, FoldingTokenizer) is folds
    assert found.piece_names == CharTokenizer.from_documents([conversation]).piece_names
    accented = (Message("user", "né"), Message("assistant", "né"))
    assert type(char_tokenizer([accented])) is type(char_tokenizer(["hi"])) is CharTokenizer
