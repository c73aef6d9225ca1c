import pytest

from microgpt.data.separator import BLANK, load_blocks
from microgpt.data.text_file import TextFile
from microgpt.errors import ConfigError, DataError

RECIPES = "Tea\nwater\n\nWait.\n%\nToast\nbread\n %\n%\nSalad\nMix.\n"
POEMS = "Roses are red\nand so on\n\n\nOne\nTwo\n\nA line\nand another\n"


@pytest.mark.parametrize("separator", ["%", " % "])
def test_separator_lines_divide_a_file_into_documents(write, separator) -> None:
    assert load_blocks(TextFile(write(RECIPES)), separator) == [
        "Tea\nwater\n\nWait.", "Toast\nbread", "Salad\nMix."
    ]  # fmt: skip


def test_blank_lines_can_separate_documents(write) -> None:
    assert load_blocks(TextFile(write(POEMS)), BLANK) == [
        "Roses are red\nand so on", "One\nTwo", "A line\nand another"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "separator", "error", "problem"),
    [
        ("%\n%\n", "%", DataError, "has only separators"),
        (RECIPES, "***", DataError, r"has no line '\*\*\*' to separate documents; omit --sep"),
        (RECIPES, "", ConfigError, "is empty; for blank lines use --separator blank"),
        (RECIPES, " ", ConfigError, "is empty; for blank lines use --separator blank"),
    ],
)
def test_an_invalid_or_unused_separator_is_refused(
    write, content, separator, error, problem
) -> None:
    with pytest.raises(error, match=problem) as refusal:
        load_blocks(TextFile(write(content)), separator)
    assert len(str(refusal.value)) < 500
