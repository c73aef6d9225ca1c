import html
import json
import os
import re
import shutil
import signal
from pathlib import Path

import commands
import pytest
from commands import ok, refused
from png_files import size_of_png
from searches import AESTHETIC, HYDRA, SETTINGS, SMALL, begin, changed, run_of, write_names

from microgpt_evolution.study import Study

pytestmark = pytest.mark.slow

SEARCHES = {"loss": SMALL, "aesthetic": AESTHETIC, "hydra": HYDRA}


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A search for each objective, which has ended."""
    folder = tmp_path_factory.mktemp("searches")
    write_names(folder)
    found = {}
    for name, options in SEARCHES.items():
        commands.run("evolve", *options, cwd=folder, check=True)
        found[name] = run_of(folder)
    return found


def marks_of(run: Path) -> list[str]:
    """Return what the marks of the chart in a report say, such as "g1-2, mutant: 2.3456; …"."""
    chart, _, _ = text_of(run).partition("</svg>")
    titles = re.findall("<title>(.*?)</title>", chart.partition("<svg")[2])
    return [html.unescape(title) for title in titles]


def text_of(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def records_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


def fresh_records(run: Path) -> list[dict]:
    """Return the records of the winner with fresh seeds."""
    return [line for line in records_of(run) if line["origin"] == "fresh"]


@pytest.mark.parametrize("objective", list(SEARCHES))
def test_a_search_writes_a_report_of_all_its_evaluations(searches, objective) -> None:
    run = searches[objective]
    searched = [line for line in records_of(run) if line["origin"] != "fresh"]
    assert {mark.split(",")[0] for mark in marks_of(run)} == {line["id"] for line in searched}
    assert "<script" not in text_of(run)
    winner = fresh_records(run)[0]["parents"][0]
    assert re.search(f"<dt>winner</dt><dd>[^<]*, {winner}</dd>", text_of(run))
    assert re.search("<dt>winner, test loss</dt><dd>.* ± .*, 3 fresh seeds", text_of(run))


@pytest.mark.parametrize(
    ("objective", "measure"),
    [
        ("loss", "Held-out loss"),
        ("aesthetic", "Judge score"),
        ("hydra", "(Weaver|Mirror|Spark) score"),
    ],
)
def test_a_report_begins_with_the_result_of_the_search(searches, objective, measure) -> None:
    run = searches[objective]
    change = r"(-?\d\.\d+) → (-?\d\.\d+)"
    found = re.search(f"<h1>{measure} {change}, \\d+ trials in [\\d.,]+ s</h1>", text_of(run))
    assert found
    if objective == "loss":
        first = json.loads((run / "trials.jsonl").read_text().splitlines()[0])
        assert first["origin"] == "primordial"
        assert float(found[1]) == pytest.approx(first["val_loss"], abs=0.01)
        (winner,) = fresh_records(run)[0]["parents"]
        (loss,) = [line["val_loss"] for line in records_of(run) if line["id"] == winner]
        assert float(found[2]) == pytest.approx(loss, abs=0.01)


def test_report_defaults_to_the_newest_run_and_is_reproducible(
    searches, microgpt, tmp_path
) -> None:
    shutil.copytree(searches["loss"].parent, tmp_path / "experiments")
    newest = tmp_path / "experiments" / searches["loss"].name
    os.utime(newest / "settings.json")
    (newest / "report.html").unlink()
    done = microgpt("report")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"experiments/{newest.name}/report.html\n"
    assert microgpt("report", "--output", "again.html").returncode == 0
    page = (newest / "report.html").read_bytes()
    assert (tmp_path / "again.html").read_bytes() == page


def test_a_budgeted_report_compares_organisms_with_the_rule(microgpt, tmp_path) -> None:
    write_names(tmp_path)
    ok(microgpt("evolve", "--budget", "1e11", "--input", "names.txt", "--seed", "5"))
    run = run_of(tmp_path)
    (tested,) = (line for line in records_of(run) if line["origin"] == "tested")
    rungs = [line for line in records_of(run) if line is not tested and "losses" in line]
    losses = sorted(((min(rung["losses"]), rung["id"]) for rung in rungs), reverse=True)
    lowest = {organism: loss for loss, organism in losses}
    text = text_of(run)
    assert f"<dt>start</dt><dd>held-out loss {lowest['g1-1']:.4f}, " in text
    assert f"<dt>winner</dt><dd>held-out loss {min(lowest.values()):.4f}, " in text
    assert f"<dt>test loss</dt><dd>{tested['test_loss']:.4f}, {tested['parents'][0]}</dd>" in text
    assert {mark.split(",")[0] for mark in marks_of(run)} == lowest.keys()


def test_the_report_of_an_interrupted_search_has_what_is_known(microgpt, tmp_path) -> None:
    write_names(tmp_path)
    process = begin(tmp_path, *changed(SMALL, "--generations", "400"))
    process.send_signal(signal.SIGINT)
    process.communicate()
    run = run_of(tmp_path)
    with (run / "trials.jsonl").open("ab") as file:
        file.write(b'{"id": "g')  # torn
    done = microgpt("report", run)
    assert (done.returncode, done.stderr) == (0, "")
    n = len((run / "trials.jsonl").read_bytes().splitlines()) - 1
    assert len(marks_of(run)) == n
    assert "s so far</h1>" in text_of(run)
    assert "fresh seeds" not in text_of(run)


def test_the_report_of_a_sweep_has_its_charts_and_tables(microgpt, tmp_path) -> None:
    names = str(Path(__file__).parents[3] / "data" / "names.txt")
    grid = ("--vary", "n_embd=8,16", "--vary", "steps=50,100", "--seeds", "2", "--data", names)
    done = ok(microgpt("sweep", "grid", *grid))
    run = run_of(tmp_path)
    assert f"the report is in experiments/{run.name}/report.html" in done.stderr
    assert len(marks_of(run)) == 4 * 3  # points in three panels
    assert text_of(run).count("<tr>") == 1 + 4
    lead = r"whose lead of \d\.\d+ ± \d\.\d+ over the second (is clear|may be chance)"
    headline = rf"<h1>Lowest held-out loss \d\.\d+, {lead}, \d+ trials in [\d.]+ s</h1>"
    assert re.search(headline, text_of(run))
    done = ok(microgpt("analyze", run, "--output", "s.svg", "--output", "s.png"))
    assert done.stderr == "note: the charts are in s.svg, s.png\n"
    for title in ("steps", "parameters", "operations"):
        assert f"Loss against {title}" in (tmp_path / "s.svg").read_text()
    width, height = size_of_png(tmp_path / "s.png")
    assert width > 1500
    assert height > 1200
    error = refused(microgpt("analyze", run, "--output", "s.gif"))
    assert error == "the chart must be a .png or .svg file, got s.gif"


def test_a_search_succeeds_without_the_plotting_packages(microgpt, tmp_path) -> None:
    altair = 'raise ModuleNotFoundError("No module named \'altair\'", name="altair")'
    write_names(tmp_path)
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "altair.py").write_text(altair)
    done = ok(microgpt("evolve", *AESTHETIC, cold=True, PYTHONPATH=str(tmp_path / "stubs")))
    assert "note: report.html was not written: charts require microgpt-cli[plots] (" in done.stderr
    assert (tmp_path / "genome.json").exists()


def test_a_damaged_newest_run_is_named(microgpt, tmp_path) -> None:
    run = tmp_path / "experiments" / "evolve_1"
    run.mkdir(parents=True)
    (run / "settings.json").write_text("{")
    error = refused(microgpt("report"))
    assert "experiments/evolve_1/settings.json" in error
    assert "must end in .html, got '-'" in refused(microgpt("report", "--output", "-"))


def test_an_unreadable_or_missing_run_is_refused(microgpt, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text('{"version": 3}')
    assert "version is 3, but" in refused(microgpt("report", "run"))
    Study.begin(tmp_path, "begun", SETTINGS, is_stamped=False).close()
    assert "begun has no results yet; try again later" in refused(microgpt("report", "begun"))
    assert refused(microgpt("report")) == (
        "there is no run in experiments; create one with `microgpt evolve` or `microgpt sweep`"
    )
