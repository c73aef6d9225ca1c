"""Check the length of the names of tests."""

import re
from pathlib import Path


def test_a_test_name_has_at_most_80_characters() -> None:
    names = {
        name
        for path in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert names
    assert [name for name in names if len(name) > 80] == []
