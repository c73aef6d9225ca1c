"""Compare how JavaScript and Python strip, fold, escape and split texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from javascript import CHARACTERS, assigned, few

from microgpt.data.folding import fold, plain

TEXTS = st.lists(st.text(CHARACTERS), min_size=50)


@pytest.mark.slow
def test_javascript_strips_and_escapes_characters_as_python_does(node) -> None:
    code = """
    import { isSpace, repr, strip } from "./characters.js";
    const answer = (char) => [isSpace(char), repr(char), strip(` ${char}a `)];
    """
    expected = [[char.isspace(), repr(char), f" {char}a ".strip()] for char in assigned()]
    assert node(code, assigned()) == expected


@pytest.mark.slow
def test_javascript_folds_each_character_as_python_does(node) -> None:
    code = """
    import { fold, plain } from "./folding.js";
    const answer = (char) => [fold(char), fold(`Aβ${char}Σ${char}`), plain(`a${char}b`)];
    """
    expected = [[fold(char), fold(f"Aβ{char}Σ{char}"), plain(f"a{char}b")] for char in assigned()]
    assert node(code, assigned()) == expected


@few
@given(TEXTS)
def test_javascript_escapes_folds_and_splits_texts_as_python_does(node, texts) -> None:
    code = """
    import { repr } from "./characters.js";
    import { fold } from "./folding.js";
    import { wordsOf } from "./matching.js";
    const answer = (text) => [repr(text), fold(text), wordsOf(text)];
    """
    words_of = pytest.importorskip("microgpt_characters.matching").words_of
    expected = [[repr(text), fold(text), words_of(text)] for text in texts]
    assert node(code, texts) == expected
