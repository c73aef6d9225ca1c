"""Tests that the commands and Python snippets of README.md and docs/ run, in a shortened form."""

import codeop
import os
import re
import shutil
from functools import cache
from pathlib import Path

import docs_commands
import pytest
from commands import COMMAND, run_process
from docs_commands import EXCUSED, ROOT, RUN, SHORTER, SHOWN, Block, FailedError, pages

blocks = cache(docs_commands.blocks)  # parsing all pages takes a second
LOOKS_RUN = re.compile(r"(\$|microgpt|uv|python|pip|curl) ")
PAGES = [page for page in pages() if any(block.language in RUN for block in blocks(page))]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The path of a docs page in a temporary folder, in which its blocks are run."""
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(docs_commands, "ROOT", tmp_path)
    return tmp_path / "page.md"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_commands_in_the_docs_print_the_output_that_is_shown(name: str, tmp_path: Path) -> None:
    done = docs_commands.run(name, tmp_path, short=True)
    commands = [block for block in blocks(name) if block.language in RUN]
    assert [block for block, _ in done] == [each for each in commands if each.shortened.strip()]


@pytest.mark.parametrize("page", pages())
def test_every_command_in_the_docs_is_in_a_bash_or_console_block(page: str) -> None:
    for block in blocks(page):
        place = f"{page}:{block.line}"
        assert block.language in RUN | SHOWN, f"{place}: {block.language}"
        assert block.language not in RUN or block.commands.strip(), f"{place}: nothing to run"
        if block.language in SHOWN:
            commands = [line for line in block.code.splitlines() if LOOKS_RUN.match(line)]
            assert not commands, f"{place}: mark the block as bash or console"


@pytest.mark.parametrize(("pattern", "reason"), EXCUSED)
def test_every_skipped_docs_command_exists_and_has_a_reason(pattern: str, reason: str) -> None:
    assert reason
    run = [block for page in PAGES for block in blocks(page) if block.language in RUN]
    assert any(re.search(pattern, block.commands) for block in run)


@pytest.mark.parametrize(("pattern", "replacement"), SHORTER)
def test_every_rule_that_shortens_docs_commands_is_used(pattern: str, replacement: str) -> None:
    commands = [block.excused for page in PAGES for block in blocks(page)]
    assert any(re.sub(pattern, replacement, text) != text for text in commands)


@pytest.mark.parametrize("block", [b for b in blocks("docs/learn.md") if b.language == "python"])
def test_python_blocks_of_learn_md_can_be_pasted_into_a_prompt(block: Block) -> None:
    """Before Python 3.13, the prompt reads line by line, and an empty line ends a statement."""
    lines: list[str] = []
    for line in [*block.code.splitlines(), ""]:
        lines.append(line)
        if codeop.compile_command("\n".join(lines)):
            lines = []
    assert lines == []


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        ("```console\n$ echo one\n1\n```", "1: does not show what is printed:\n\none"),
        ("```python\nprint(2)\n```\n\n```text\n3\n```", "1: does not show what is printed:\n\n2"),
        ("```bash\ntrue\nfalse\ntrue\n```", "1: exit code"),
        ("text\n\n```python\n1 / 0\n```", "3: exit code"),
    ],
)
def test_an_error_names_the_line_of_a_failing_docs_block(page, tmp_path, shown, problem) -> None:
    page.write_text(f"{shown}\n")
    with pytest.raises(FailedError, match=rf"page\.md:{problem}"):
        docs_commands.run("page.md", tmp_path / "folder", short=True)


PLUGINS = "docs/plugins.md"
FENCE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_documented_plugin_runs_as_shown_and_can_be_removed(tmp_path: Path) -> None:
    package, site = tmp_path / "microgpt-subtitles", tmp_path / "site"
    for name, content in FENCE.findall((ROOT / PLUGINS).read_text()):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(content)
    (package / "microgpt_subtitles/__init__.py").touch()
    shutil.move(package / "film.srt", tmp_path)
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", site, package]
    run_process(install, check=True)
    env = {**os.environ, "PYTHONPATH": str(site), "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}

    def bash(command: str) -> str:
        done = run_process(["bash", "-c", command], cwd=tmp_path, env=env)
        return done.stderr if done.returncode else done.stdout

    used = [block for block in blocks(PLUGINS) if block.language == "console"]
    assert used
    assert [bash(block.commands) for block in used] == [block.output for block in used]
    assert "Print the most frequent words" in bash("microgpt --help")
    shutil.rmtree(site)
    assert "Print the most frequent words" not in bash("microgpt --help")
    assert "'words'" in bash("microgpt words film.srt")
    assert "is a subtitle file" in bash("microgpt train --data film.srt --steps 1")
    assert "got csv" in bash("microgpt export film --format csv --output b.csv")
