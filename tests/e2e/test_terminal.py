"""The commands on a real (pseudo-)terminal, with real keys."""

import functools
import io
import json
import os

import pexpect
import pytest
from terminal import Terminal

EXCHANGE = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yo", "task": "greet"},
]


@pytest.fixture
def terminal(tmp_path):
    """Run the command on a terminal of its own."""
    running = []

    def start(*args: object, size: tuple[int, int] = (24, 80), stdout=None, **env: str) -> Terminal:
        options = {"stdout": stdout} if stdout else {}
        child = Terminal(
            "microgpt", *args, size=size, cwd=tmp_path, env={**os.environ, **env}, **options
        )
        running.append(child)
        return child

    yield start
    for child in running:
        child.close()


@pytest.fixture
def results(tmp_path):
    """A file for what goes to stdout."""
    with (tmp_path / "results").open("w") as file:
        yield file


def test_train_prints_plain_lines_to_a_dumb_terminal(terminal, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("maximilianalena\n")
    shape = ("--n-embd", "16", "--n-layer", "1", "--block-size", "16")
    options = ("--input", "names.txt", "--steps", "400", "--engine", "reference", *shape)
    child = terminal("train", *options, TERM="dumb")
    losses, speed = r"mean loss \d\.\d{3}, last \d\.\d{3}", r"[\d.]+ docs/s, [\d.]+k? tokens/s"
    left = r"(\d+ h \d\d min|(\d+ min )?\d+ s) left"
    child.expect(rf"step +\d+ / +400 \| {losses} \| {speed} \| {left}\r\n")


def test_train_removes_its_progress_bar_before_the_results(terminal, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    child = terminal("train", "--input", "names.txt", "--steps", "60", "--num-samples", "1")
    child.expect(
        r"\d+/60.*mean loss \d\.\d{3}, last \d\.\d{3} \| [\d.]+k? docs/s, [\d.]+k? tokens/s"
    )
    child.expect_exact("step   60 /   60 | loss ")
    child.expect_exact("sample  1: ")
    assert child.exit_code() == 0


def test_train_shows_its_progress_bar_while_stdout_is_a_file(terminal, tmp_path, results) -> None:
    (tmp_path / "names.txt").write_text("anna\n")
    child = terminal("train", "--input", "names.txt", "--steps", "60", stdout=results)
    child.expect(r"\d+/60")
    child.expect(pexpect.EOF)
    lines = (tmp_path / "results").read_text().splitlines()
    assert lines[0] == "num docs: 1"
    assert lines[3].startswith("step   60 /   60 | loss ")
    assert len(lines) == 6 + 20


SMALL = ("--population", "4", "--generations", "3")


@pytest.fixture
def evolve(terminal, tmp_path):
    """Run a small search on a terminal, or with its log in a file."""
    docs = [a + b + c + d for a in "aeiou" for b in "mnrl" for c in "aeo" for d in ["", "l", "nn"]]
    (tmp_path / "names.txt").write_text("\n".join(docs))
    return functools.partial(terminal, "evolve", "--input", "names.txt")


def test_sweep_shows_a_progress_bar_while_it_runs(terminal, tmp_path, results) -> None:
    (tmp_path / "names.txt").write_text("\n".join(f"{a}{b}na" for a in "aeiou" for b in "mnrlst"))
    options = ("--steps", "200,400", "--lr", "0.01,1e30", "--input", "names.txt")
    options += ("--preset", "karpathy")
    child = terminal("sweep", "grid", *options, stdout=results, NO_COLOR="1")
    shown = io.StringIO(newline="")
    child.logfile_read = shown
    child.expect(r"training +\d+/12 .* left")
    child.expect("note: steps 400, lr 1e\\+30: diverged, ")
    assert child.exit_code() == 0
    assert shown.getvalue().count("note: steps ") == 2  # a point each, not a training run
    assert "\n6 of 12 training runs completed; ran 12 " in (tmp_path / "results").read_text()


def log_of(folder) -> list[str]:
    (log,) = (folder / "experiments").glob("*.log")
    return log.read_text().splitlines()


def test_evolve_shows_its_progress_below_its_complete_log(tmp_path, evolve) -> None:
    child, shown = evolve(*SMALL, NO_COLOR="1"), io.StringIO(newline="")
    child.logfile_read = shown
    child.expect(r"generation +[012]/3 ")
    child.expect(r"champion \d\.\d{4} \| \d of \d organisms, \d species, stagnation \d")
    child.expect(r"[\d.]+ organisms/s")
    child.expect(r". of . retests")
    assert child.exit_code() == 0
    assert "organism g" not in shown.getvalue()
    place = 0
    for line in filter(None, log_of(tmp_path)):  # where the bar was and is erased, or below
        place = shown.getvalue().index(f"{line}\r\n", place)
        assert shown.getvalue()[:place].endswith(("\n", "\x1b[2K"))


def test_progress_is_cut_to_the_width_of_a_narrow_terminal(evolve, results) -> None:
    child = evolve(*SMALL, stdout=results, size=(10, 40), NO_COLOR="1")
    child.expect(r"champion \d\.\d{4} \| \d of [^\r]*…\r\n")
    assert "\x1b[3" not in child.before
    child.sendintr()
    child.expect(pexpect.EOF)
    assert "\x1b[3" not in child.before


@pytest.mark.parametrize(("option", "term"), [("--trace", "xterm"), ("--workers=1", "dumb")])
def test_evolve_shows_no_bar_on_a_dumb_terminal_or_with_trace(evolve, option, term) -> None:
    child = evolve(*SMALL, option, TERM=term)
    assert child.expect_exact([" saved to genome.json", "organisms/s"]) == 0


def test_ctrl_c_removes_the_bar_and_prints_how_to_resume(evolve) -> None:
    child = evolve("--population", "4", "--generations", "100000")
    child.expect(r"[1-9][\d.]* organisms/s")  # at least one has been evaluated
    child.sendintr()
    child.expect(r"interrupted after [\d,]+ evaluations?; resume with: microgpt evolve --resume ")
    assert child.exit_code() == 130


def test_samples_cannot_send_commands_to_the_terminal(terminal, microgpt, tmp_path) -> None:
    (tmp_path / "texts").write_text("\x1b[2Jhi\x7f\n")
    trained = terminal("train", "--input", "texts", "--dropout", "0", "--num-samples", "2")
    trained.expect_exact("sample  1: \\x1b[2Jhi\\x7f\r\n")
    trained.expect(pexpect.EOF)
    child = terminal("generate", "--temperature", "0")
    child.expect_exact("sample  1: \\x1b[2Jhi\\x7f\r\n")
    child.expect(pexpect.EOF)
    piped = microgpt("generate", "--temperature", "0", "--num-samples", "1")
    assert piped.stdout == "sample  1: \x1b[2Jhi\x7f\n"  # whoever reads it there wants it as it is


def test_ctrl_c_ends_eval_while_it_compares_replies(terminal, endless_model, tmp_path) -> None:
    (tmp_path / "exam.jsonl").write_text(f"{json.dumps(EXCHANGE)}\n" * 4)
    child = terminal("eval", endless_model, "--data", "exam.jsonl", "--threads", "2")
    child.expect_exact("replies ")
    child.sendintr()
    child.expect_exact("interrupted")
    assert child.exit_code() == 130
