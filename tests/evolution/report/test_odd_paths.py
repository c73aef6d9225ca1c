"""Searches, sweeps and reports with paths that are not UTF-8, or that a terminal obeys."""

import os
from pathlib import Path

import pytest
from commands import ok

from microgpt_evolution.commands.report import report
from microgpt_evolution.report import study_report

FOLDER, TEXT, MODEL = (os.fsdecode(name) for name in (b"w\xff", b"n\xfe.txt", b"m\xfd"))
ODD = "a\x1b[2J\x9b\u202eb\u2066\x07"
ESCAPED = r"a\x1b[2J\x9b\u202eb\u2066\x07"


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A working directory whose name is not UTF-8, with a training file of such a name."""
    folder = tmp_path / FOLDER
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    (folder / TEXT).write_text("".join(f"{a}{b}na\n" for a in "abcdefgh" for b in "aeiou"))
    return folder


@pytest.mark.slow
def test_searches_and_sweeps_accept_unusual_paths(microgpt, tmp_path) -> None:
    """They go on, too, and are reported."""
    small = ["--population=2", "--generations=1", "--objective=loss"]
    grid = ["--vary=lr=0.01,0.02", "--seeds=1", "--vary=steps=50", "--vary=n_head=1"]
    for args in (
        ["evolve", "--input", TEXT, *small, "--train-winner", MODEL, "--force"],
        ["evolve", "--resume", "RUN"],
        ["report"],
        ["run"],
        ["judge", "anna", "--against", TEXT],
        ["train", "--genome", "genome.json", "--input", TEXT, "--output=g", "--steps=5"],
        ["sweep", "grid", "--input", TEXT, *grid],
        ["analyze"],
        ["plot", "g", "--output", MODEL + ".png"],
        ["report"],
    ):
        runs = sorted(tmp_path.glob("experiments/evolve_*/"))
        done = ok(microgpt(*(str(runs[0]) if arg == "RUN" else arg for arg in args)))
        assert "Traceback" not in done.stderr


def test_report_paths_are_escaped_on_a_terminal(tmp_path, monkeypatch, capsys) -> None:
    """The newest run is reported, whatever somebody has called it."""
    monkeypatch.chdir(tmp_path)
    run = Path("experiments", ODD)
    run.mkdir(parents=True)
    (run / "settings.json").touch()
    monkeypatch.setattr(study_report, "write_report", lambda directory: directory / "report.html")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    report(None)
    assert capsys.readouterr().out.endswith(f"{ESCAPED}/report.html\n")
