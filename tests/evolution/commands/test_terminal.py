"""Searches and sweeps on a real (pseudo-)terminal."""

import functools
import io
from pathlib import Path

import pexpect
import pytest
from searches import log_of, run_of

SMALL = ("--population", "4", "--generations", "3")


@pytest.fixture
def evolve(terminal, made_up_names):
    """Run a small search on a terminal, or with its log in a file."""
    return functools.partial(terminal, "evolve", "--input", "names.txt")


def test_sweep_shows_a_progress_bar_while_it_runs(terminal, tmp_path, results) -> None:
    names = Path(__file__).parents[3] / "data" / "names.txt"
    options = ("--vary", "steps=200,400", "--vary", "lr=0.01,1e30", "--data", str(names))
    child = terminal("sweep", "grid", *options, stdout=results, NO_COLOR="1")
    shown = io.StringIO(newline="")
    child.logfile_read = shown
    child.expect(r"study, % +\d+/100 .* left")
    child.expect("note: steps 400, lr 1e\\+30: diverged, ")
    assert child.exit_code() == 0
    assert shown.getvalue().count("note: steps ") == 2  # a point each, not a training run
    assert "\n6 of 12 training runs completed; ran 12 " in (tmp_path / "results").read_text()


def test_evolve_shows_its_progress_below_its_complete_log(tmp_path, evolve) -> None:
    child, shown = evolve(*SMALL, NO_COLOR="1"), io.StringIO(newline="")
    child.logfile_read = shown
    child.expect(r"study, % +\d+/100 ")
    child.expect(r"champion \d\.\d{4}")
    assert child.exit_code() == 0
    assert "organism g" not in shown.getvalue()
    place, log = 0, log_of(run_of(tmp_path)).splitlines()
    for line in filter(None, log):  # where the bar was and is erased, or below
        place = shown.getvalue().index(f"{line}\r\n", place)
        assert shown.getvalue()[:place].endswith(("\n", "\x1b[2K"))


def test_a_narrow_terminal_shows_all_figures_of_the_progress(evolve, results) -> None:
    child = evolve(*SMALL, stdout=results, size=(10, 40), NO_COLOR="1")
    child.expect(r"champion \d\.\d{4}")
    assert "\x1b[3" not in child.before
    child.sendintr()
    child.expect(pexpect.EOF)
    assert "\x1b[3" not in child.before


@pytest.mark.parametrize(("option", "term"), [("--trace", "xterm"), ("--workers=1", "dumb")])
def test_evolve_shows_no_bar_on_a_dumb_terminal_or_with_trace(evolve, option, term) -> None:
    child = evolve(*SMALL, option, TERM=term)
    assert child.expect_exact([" saved to genome.json", "study, %"]) == 0


def test_ctrl_c_removes_the_bar_and_prints_how_to_resume(evolve) -> None:
    child = evolve("--population", "4", "--generations", "100000")
    child.expect(r"champion \d")  # a generation has been evaluated
    child.sendintr()
    child.expect(r"interrupted after [\d,]+ training runs?; resume with: microgpt evolve --resume ")
    assert child.exit_code() == 130
