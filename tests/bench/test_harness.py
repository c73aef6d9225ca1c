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


@pytest.mark.parametrize("shorter", [("--rounds", "4"), ("--seconds", "1.5", "--rounds", "9")])
def test_a_short_run_does_not_replace_stored_results(kept, monkeypatch, capsys, shorter) -> None:
    assert run(monkeypatch, *shorter)["names"] == 2
    assert json.loads(kept.read_text()) == {"names": 1}
    assert "not stored" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--rounds", "6", "--quiet")])
def test_a_full_run_is_stored_with_machine_date_and_commit(kept, monkeypatch, options) -> None:
    found = run(monkeypatch, *options)
    assert json.loads(kept.read_text()) == found
    assert found == {**found, "machine": machine(), "names": 2}
    assert {"date", "commit"} <= found.keys()
