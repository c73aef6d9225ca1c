import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.separator import BLANK, load_blocks, proposal
from microgpt.data.text_file import TextFile
from microgpt.errors import ConfigError, DataError

RECIPES = "Tea\nwater\n\nWait.\n%\nToast\nbread\n %\n%\nSalad\nMix.\n"
POEMS = "Roses are red\nand so on\n\n\nOne\nTwo\n\nA line\nand another\n"


@pytest.fixture
def file(tmp_path):
    def write(content: str):
        (tmp_path / "some.txt").write_text(content)
        return TextFile(tmp_path / "some.txt")

    return write


@pytest.mark.parametrize("separator", ["%", " % "])
def test_separator_lines_divide_a_file_into_documents(file, separator) -> None:
    assert load_blocks(file(RECIPES), separator) == [
        "Tea\nwater\n\nWait.", "Toast\nbread", "Salad\nMix."
    ]  # fmt: skip


def test_blank_lines_can_separate_documents(file) -> None:
    assert load_blocks(file(POEMS), BLANK) == [
        "Roses are red\nand so on", "One\nTwo", "A line\nand another"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("separator", "error", "problem"),
    [
        ("***", DataError, r"has no line '\*\*\*' to separate documents; --separator % would"),
        ("", ConfigError, "is empty; for blank lines use --separator blank"),
        (" ", ConfigError, "is empty; for blank lines use --separator blank"),
    ],
)
def test_an_invalid_or_unused_separator_is_refused(file, separator, error, problem) -> None:
    with pytest.raises(error, match=problem) as refusal:
        load_blocks(file(RECIPES), separator)
    assert len(str(refusal.value)) < 500


def test_the_advice_on_a_separator_is_quoted_and_printable(file) -> None:
    with pytest.raises(DataError, match=r"--separator '.x0e[*]' would find some") as refusal:
        load_blocks(file("a\nb\n\x0e*\n" * 4), "***")
    assert str(refusal.value).isprintable()


def test_a_file_of_separators_is_refused(file) -> None:
    with pytest.raises(DataError, match="has only separators"):
        load_blocks(file("%\n%\n"), "%")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (RECIPES, "%"),
        (POEMS, BLANK),
        ("anna\nemma\nmia\n", None),
        ("anna\n\nemma\n\nmia\n", None),  # blank lines between single lines
        ("-\nanna\n-\nemma\n-\n", None),
        ("", None),
    ],
)
def test_a_separator_is_suggested_for_multi_line_documents(content, expected) -> None:
    assert proposal(content.split("\n")) == expected


@given(st.lists(st.text("ab% \n", max_size=12), max_size=12))
def test_a_suggested_separator_yields_at_least_three_documents(tmp_path_factory, lines) -> None:
    text = "\n".join(lines)
    if separator := proposal(text.split("\n")):
        path = tmp_path_factory.mktemp("blocks") / "some.txt"
        path.write_text(text)
        assert len(load_blocks(TextFile(path), separator)) >= 3
