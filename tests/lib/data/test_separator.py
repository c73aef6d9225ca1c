import pytest

from microgpt.data.separator import BLANK, load_blocks
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
        ("***", DataError, r"has no line '\*\*\*' to separate documents; omit --sep"),
        ("", ConfigError, "is empty; for blank lines use --separator blank"),
        (" ", ConfigError, "is empty; for blank lines use --separator blank"),
    ],
)
def test_an_invalid_or_unused_separator_is_refused(file, separator, error, problem) -> None:
    with pytest.raises(error, match=problem) as refusal:
        load_blocks(file(RECIPES), separator)
    assert len(str(refusal.value)) < 500


def test_a_file_of_separators_is_refused(file) -> None:
    with pytest.raises(DataError, match="has only separators"):
        load_blocks(file("%\n%\n"), "%")
