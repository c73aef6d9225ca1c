"""Options of benchmarks, and the results that they store."""

import json
import sys
from pathlib import Path

import harness
import pytest
from machine import machine


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with results of an earlier run."""
    file = tmp_path / "speed.json"
    file.write_text('{"names": 1}')
    monkeypatch.setattr(harness, "results_file", lambda bench: tmp_path / f"{bench}.json")
    return file


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["speed.py", *arguments])
    options = harness.parsed("Measure.", rounds=5, seconds=2.0, only="", quiet=False)
    return harness.store("speed", {"names": 2}, options)


@pytest.mark.parametrize(
    ("options", "is_stored"),
    [
        ("", True),
        ("--rounds 6 --quiet", True),
        ("--rounds 4", False),
        ("--seconds 1.5 --rounds 9", False),
    ],
)
def test_only_a_full_run_replaces_stored_results(
    kept, monkeypatch, capsys, options, is_stored
) -> None:
    found = run(monkeypatch, *options.split())
    assert found["names"] == 2
    if is_stored:
        assert found["machine"] == machine()
        assert {"date", "commit"} <= found.keys()
    assert json.loads(kept.read_text()) == (found if is_stored else {"names": 1})
    assert ("not stored" in capsys.readouterr().err) != is_stored
