import html
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from commands import ok, refused
from searches import AESTHETIC, HYDRA, SETTINGS, SMALL, run_of, write_names

from microgpt_evolution.study import Study

pytestmark = pytest.mark.slow


def marks_of(run: Path) -> list[str]:
    """Return the labels of the marks in a report's chart, such as "g1-2, mutant: 2.3456; …"."""
    chart, _, _ = text_of(run).partition("</svg>")
    titles = re.findall("<title>(.*?)</title>", chart.partition("<svg")[2])
    return [html.unescape(title) for title in titles]


def text_of(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def records_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("search", [SMALL, AESTHETIC, HYDRA], ids=["loss", "aesthetic", "hydra"])
def test_a_search_writes_a_static_report_of_trials_and_winner(searched, search) -> None:
    run = run_of(searched(*search)[1])
    marks = sorted(mark.split(",")[0] for mark in marks_of(run))
    assert marks == sorted(line["id"] for line in records_of(run))
    assert f", {len(marks)} trials, " in text_of(run)
    assert "<script" not in text_of(run)
    (winner,) = next(line for line in records_of(run) if line["origin"] == "fresh")["parents"]
    assert re.search(f"<dt>winner</dt><dd>[^<]*, {winner}</dd>", text_of(run))
    assert re.search("<dt>winner, test loss</dt><dd>.* ± .*, 3 fresh seeds", text_of(run))


def test_report_defaults_to_the_last_run_and_is_reproducible(searched, microgpt, tmp_path) -> None:
    for search in (AESTHETIC, SMALL):
        shutil.copytree(searched(*search)[1], tmp_path, dirs_exist_ok=True)
    newest = tmp_path / "experiments" / run_of(searched(*SMALL)[1]).name
    os.utime(newest / "settings.json")
    (newest / "report.html").unlink()
    done = microgpt("report")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"experiments/{newest.name}/report.html\n"
    page = (newest / "report.html").read_bytes()
    ok(microgpt("report", newest))
    assert (newest / "report.html").read_bytes() == page


def test_a_sweep_report_has_a_mark_and_a_row_per_combination(microgpt, tmp_path) -> None:
    names = str(Path(__file__).parents[3] / "data" / "names.txt")
    grid = ("--vary", "n_embd=8,16", "--vary", "steps=50,100", "--seeds", "2", "--data", names)
    done = ok(microgpt("sweep", "grid", *grid))
    run = run_of(tmp_path)
    assert f"the report is in experiments/{run.name}/report.html" in done.stderr
    assert len(marks_of(run)) == 4
    assert text_of(run).count("<tr>") == 1 + 4


def test_a_search_succeeds_without_the_plotting_packages(microgpt, tmp_path, monkeypatch) -> None:
    write_names(tmp_path)
    monkeypatch.setitem(sys.modules, "altair", None)
    done = ok(microgpt("evolve", *AESTHETIC))
    assert "note: report.html was not written: charts require microgpt-cli[plots] (" in done.stderr
    assert (tmp_path / "genome.json").exists()


def test_report_refuses_a_missing_an_empty_or_a_damaged_run(microgpt, tmp_path) -> None:
    with Study.begin(tmp_path, "begun", SETTINGS, is_stamped=False):
        pass
    assert "begun has no results yet; try again later" in refused(microgpt("report", "begun"))
    assert "no run in experiments; create one with `microgpt evolve`" in refused(microgpt("report"))
    newest = tmp_path / "experiments" / "evolve_1"
    newest.mkdir(parents=True)
    (newest / "settings.json").write_text("{")
    assert "experiments/evolve_1/settings.json" in refused(microgpt("report"))
