"""Tests that the scripts and notebooks of examples/ work as documented."""

import re
import runpy
import subprocess
from pathlib import Path

import commands
import nbformat
import pytest
from nbclient import NotebookClient

from microgpt import InferenceGpt, load

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def start(name: str, *args: str | Path, folder: Path, stdin: str = "") -> str:
    """Run a script of examples/, and return its output."""
    done = commands.run_process(["python", EXAMPLES / name, *args], cwd=folder, stdin=stdin)
    return commands.ok(done).stdout


def test_every_example_is_listed_in_the_readme() -> None:
    tables = (EXAMPLES / "README.md").read_text()
    for path in {*EXAMPLES.glob("*.*"), *EXAMPLES.glob("notebooks/*")} - {EXAMPLES / "README.md"}:
        assert f"]({path.relative_to(EXAMPLES)})" in tables


@pytest.mark.slow
def test_the_generated_game_names_are_new_short_and_reproducible(tmp_path: Path) -> None:
    elves = ["galadriel", "galathil", "celeborn", "celebrian", "elrond", "elros", "galdor"]
    (tmp_path / "elves.txt").write_text("\n".join(elves))
    args = ("elves.txt", "-n", "4", "--seed", "7", "--start", "gal", "--longest", "8")

    names = start("game_names.py", *args, folder=tmp_path).splitlines()

    assert len(set(names)) == 4
    assert all(name.startswith("gal") and len(name) <= 8 for name in names)
    assert not set(names) & set(elves)
    assert start("game_names.py", *args, folder=tmp_path).splitlines() == names


@pytest.mark.slow
def test_commit_messages_are_completed_by_a_model_trained_once(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)
    for what in ("the parser", "the tests", "a typo", "the docs"):
        message = ["commit", "--quiet", "--allow-empty", "-m", f"Fix {what}"]
        subprocess.run([*git, *message], cwd=tmp_path, check=True)

    args = ("Fix t", "-n", "2", "--steps", "200")
    completed = start("commit_messages.py", *args, folder=tmp_path).splitlines()

    assert set(completed) & {"Fix the parser", "Fix the tests", "Fix the docs"}
    learnt = (tmp_path / ".git/commit-messages/meta.json").stat().st_mtime_ns
    assert start("commit_messages.py", *args, folder=tmp_path).splitlines() == completed
    assert (tmp_path / ".git/commit-messages/meta.json").stat().st_mtime_ns == learnt


@pytest.mark.slow
def test_the_faq_bot_learns_saves_and_answers_despite_typos(tmp_path: Path) -> None:
    asked = "Where are you?\nwhere are you?\nhi! do you delver\n"
    args = (EXAMPLES / "faq.txt", "--save", "model")
    learnt, *where, deliver = start("faq.py", *args, folder=tmp_path, stdin=asked).splitlines()
    assert learnt == "14 of 14 questions learned"
    assert where == ["At 12 Mill Street, opposite the church."] * 2
    assert deliver == "No, but we keep your order until noon."
    assert (tmp_path / "model" / "meta.json").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"When?\nNow.\n\nNever.\n", "line 4: write questions that end in ?, then an answer"),
        ("Où?\nIci.\n".encode("latin-1"), "{file} is not UTF-8"),
    ],
)
def test_the_faq_bot_says_why_it_refuses_a_file(tmp_path, monkeypatch, content, problem) -> None:
    file = tmp_path / "faq.txt"
    file.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["faq.py", str(file)])
    with pytest.raises(SystemExit, match=re.escape(f"error: {problem.format(file=file)}")):
        runpy.run_path(str(EXAMPLES / "faq.py"), run_name="__main__")


def test_the_identifiers_script_prints_each_identifier_once(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def greet(name): return name.title()\n")
    (tmp_path / "b.py").write_text('class Ñu:\n    "words in a string"\n    age = 3\n')
    (tmp_path / "broken.py").write_text("def (")
    printed = start("identifiers.py", tmp_path, folder=tmp_path)
    assert sorted(printed.split()) == ["age", "greet", "name", "title", "Ñu"]


@pytest.mark.slow
def test_the_pytorch_example_trains_a_model_that_microgpt_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "names.txt").write_text("anna\nemma\nhannah\n" * 10)
    printed = start("train_in_pytorch.py", "names.txt", "model", "--steps", "60", folder=tmp_path)
    losses = [float(loss) for loss in re.findall(r"^step \d+: loss ([\d.]+)$", printed, re.M)]
    assert len(losses) == 10
    assert losses[-1] < losses[0]
    names = InferenceGpt(load(tmp_path / "model")).generate(20, temperature=0.5, seed=1)
    assert len({*names} & {"anna", "emma", "hannah"}) > 1


@pytest.mark.slow
def test_evolution_with_a_custom_judge_finds_ten_new_names(tmp_path: Path) -> None:
    program = (EXAMPLES / "own_judge.py").read_text()
    done = commands.run_process(["python", "-c", program], cwd=tmp_path, check=True)
    assert float(re.search(r"^([\d.]+) Emb", done.stderr, re.M)[1]) > 0.9
    names = done.stdout.split()
    assert len(names) == 10
    assert not set(names) & set((ROOT / "data/names.txt").read_text().split())


@pytest.mark.slow
def test_the_chat_bot_keeps_chats_apart_and_survives_errors(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MICROGPT_API_KEY", "secret")
    monkeypatch.setenv("PORT", "0")
    with commands.running(["microgpt-serve"], cwd=tmp_path) as service:
        found = (re.search(r"at http://\S+:(\d+)", line) for line in service.stderr)
        port = next(filter(None, found))[1]
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        said = "ada: hi\nbob: my name is bob\n\nada: what is 3 plus 4?\nben: 你好\n"
        said += "bob: what is my name?\nben: what is my name?\n"
        address = f"http://localhost:{port}/v1"
        answers = start("http_bot.py", address, folder=tmp_path, stdin=said).splitlines()
    assert answers[0].startswith("bot: @ada ")
    assert answers[1] == "bot: @bob hi bob!"
    assert answers[2] == "bot: @ada 3 + 4 = 7"
    assert answers[3].startswith("bot: @ben error: ")
    assert "no character of the message is in the vocabulary" in answers[3]
    assert "bob" in answers[4].removeprefix("bot: @bob ")
    assert answers[5].startswith("bot: @ben ")
    assert not re.search("error|bob", answers[5])


NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))
PRINTED = {"learn": "loss of emma: 3.4955 before, 2.8610 after one step"}  # as in docs/learn.md


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_as_documented_and_draws_pictures(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert PRINTED.get(path.stem, "") in "".join(output.get("text", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_output(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
