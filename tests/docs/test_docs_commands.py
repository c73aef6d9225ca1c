"""Every command and Python snippet of README.md and docs/ runs, shortened."""

import codeop
import errno
import re
import socket
from pathlib import Path

import docs_commands
import pytest
from docs_commands import EXCUSED, RUN, SHORTER, SHOWN, Block, FailedError, blocks, pages

COMMAND = re.compile(r"(\$|microgpt|uv|python|pip|curl) ")
PAGES = [page for page in pages() if any(block.language in RUN for block in blocks(page))]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A page of a documentation of its own, which is run in folder."""
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
def test_every_command_in_the_docs_is_in_a_shell_block(page: str) -> None:
    for block in blocks(page):
        place = f"{page}:{block.line}"
        assert block.language in RUN | SHOWN, f"{place}: {block.language}"
        assert block.language not in RUN or block.commands.strip(), f"{place}: nothing to run"
        if block.language in SHOWN:
            commands = [line for line in block.code.splitlines() if COMMAND.match(line)]
            assert not commands, f"{place}: mark the block as bash or console"


@pytest.mark.parametrize(("pattern", "reason"), EXCUSED)
def test_every_skipped_docs_command_exists_and_has_a_reason(pattern: str, reason: str) -> None:
    assert reason
    run = [block for page in PAGES for block in blocks(page) if block.language in RUN]
    assert any(re.search(pattern, block.commands) for block in run)


@pytest.mark.parametrize(("pattern", "replacement"), SHORTER)
def test_every_shortening_rule_applies_to_a_docs_command(pattern: str, replacement: str) -> None:
    commands = [block.excused for page in PAGES for block in blocks(page)]
    assert any(re.sub(pattern, replacement, text) != text for text in commands)


@pytest.mark.parametrize("block", [b for b in blocks("docs/learn.md") if b.language == "python"])
def test_a_python_block_can_be_pasted_into_a_prompt(block: Block) -> None:
    """Before Python 3.13, a prompt reads line by line, and an empty line ends a statement."""
    lines: list[str] = []
    for line in [*block.code.splitlines(), ""]:
        lines.append(line)
        if codeop.compile_command("\n".join(lines)):
            lines = []
    assert lines == []


def test_the_blocks_of_a_page_run_in_order_in_one_folder(page: Path, tmp_path: Path) -> None:
    page.write_text(
        "```bash\necho 1 > n\n```\n"
        "- In a list:\n\n  ```python\n  print(int(open('n').read()) + 1)\n  ```\n\n"
        '=== "In a tab"\n\n    ```console\n    $ cat n\n    1\n    ```\n'
    )
    done = docs_commands.run("page.md", tmp_path / "folder", short=True)
    assert [(block.line, printed) for block, printed in done] == [(1, ""), (6, "2\n"), (12, "1\n")]


def test_the_python_blocks_of_a_page_share_one_session(page: Path, tmp_path: Path) -> None:
    page.write_text("```python\nx = 1\n```\n\nText.\n\n```python\nprint(x + 1)\n```\n")
    done = docs_commands.run("page.md", tmp_path / "folder", short=True)
    assert [printed for _, printed in done] == ["", "2\n"]


@pytest.mark.parametrize(
    "shown",
    [
        "```console\n$ echo one\none\n$ echo two\n2\n```\n",
        "```python\nprint('one\\ntwo')\n```\n\n```text\none\n2\n```\n",
    ],
)
def test_an_error_names_the_page_whose_output_differs(
    page: Path, tmp_path: Path, shown: str
) -> None:
    page.write_text(shown)
    with pytest.raises(
        FailedError, match=r"page\.md:1: does not show what is printed:\n\none\ntwo"
    ):
        docs_commands.run("page.md", tmp_path / "folder", short=True)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("```bash\ntrue\nfalse\ntrue\n```", 1),
        ("```bash\nfalse | true\n```", 1),
        ("text\n\n```python\n1 / 0\n```", 3),
        ("```console\n$ no-such-command\nfine\n```", 1),
    ],
)
def test_an_error_names_the_line_of_a_failing_block(
    page: Path, tmp_path: Path, code: str, line: int
) -> None:
    page.write_text(code)
    with pytest.raises(FailedError, match=rf"page\.md:{line}: exit code"):
        docs_commands.run("page.md", tmp_path / "folder", short=True)


@pytest.mark.slow
def test_a_service_runs_until_the_next_service_or_the_page_ends(page: Path, tmp_path: Path) -> None:
    page.write_text(
        "```bash\nPORT=8080 microgpt-serve\ncurl localhost:8080/v1/models\n```\n"
        "```bash\nMICROGPT_API_KEY=secret uv run microgpt serve\n"
        "! curl --output none localhost:8080/v1/models && echo $PORT\n```\n"
    )
    (_, model), (_, port) = docs_commands.run("page.md", tmp_path / "folder", short=True)
    assert '"id":"demo"' in model
    with socket.socket() as client:
        assert client.connect_ex(("localhost", int(port))) == errno.ECONNREFUSED
