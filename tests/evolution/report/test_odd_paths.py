"""Reports with paths that a terminal obeys."""

from pathlib import Path

from microgpt_evolution.commands.report_command import report
from microgpt_evolution.report import study_report

ODD = "a\x1b[2J\x9b\u202eb\u2066\x07"
ESCAPED = r"a\x1b[2J\x9b\u202eb\u2066\x07"


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
