import sys
from pathlib import Path

from commands import run_process

SCRIPT = Path(__file__).parents[2] / "examples" / "identifiers.py"


def test_the_identifiers_script_prints_each_identifier_once(tmp_path) -> None:
    (tmp_path / "a.py").write_text("def greet(name): return name.title()\n")
    (tmp_path / "b.py").write_text('class Ñu:\n    "words in a string"\n    age = 3\n')
    (tmp_path / "broken.py").write_text("def (")
    done = run_process([sys.executable, SCRIPT, tmp_path], check=True)
    assert sorted(done.stdout.split()) == ["age", "greet", "name", "title", "Ñu"]
