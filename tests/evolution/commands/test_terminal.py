"""Tests of searches and sweeps on a pseudo-terminal."""

import functools
import io

import pytest
from searches import log_of, run_of

pytestmark = pytest.mark.compiled

SMALL = ("--population", "4", "--generations", "3")


@pytest.fixture
def evolve(terminal, made_up_names):
    """A function that runs `evolve` on names.txt, on a pseudo-terminal."""
    return functools.partial(terminal, "evolve", "--input", "names.txt")


def test_evolve_shows_its_progress_below_its_complete_log(tmp_path, evolve) -> None:
    child, shown = evolve(*SMALL, NO_COLOR="1"), io.StringIO(newline="")
    child.logfile_read = shown
    child.expect(r"\d+ % \| ")
    child.expect(r"champion \d\.\d{4}")
    assert child.exit_code() == 0
    assert "organism g" not in shown.getvalue()
    place, log = 0, log_of(run_of(tmp_path)).splitlines()
    for line in filter(None, log):  # a log line starts a new line or replaces the progress bar
        place = shown.getvalue().index(f"{line}\r\n", place)
        assert shown.getvalue()[:place].endswith(("\n", "\x1b[K"))


def test_ctrl_c_in_evolve_prints_how_to_resume(evolve) -> None:
    child = evolve("--population", "4", "--generations", "100000")
    child.timeout = 300  # long enough on a busy machine
    child.expect(r"champion \d")  # a generation has been evaluated
    child.sendintr()
    child.expect(r"interrupted after [\d,]+ training runs?; resume with: microgpt evolve --resume ")
    assert child.exit_code() == 130
