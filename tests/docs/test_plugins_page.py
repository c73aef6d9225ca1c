"""The package of docs/plugins.md, installed, used and removed."""

import os
import re
import shutil
from pathlib import Path

import pytest
from commands import COMMAND, run_process
from docs_commands import ROOT, blocks

PAGE = "docs/plugins.md"
FENCE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path) -> Path:
    """A folder of installed packages, with the package of the page."""
    for name, content in FENCE.findall((ROOT / PAGE).read_text()):
        path = tmp_path / "microgpt-subtitles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "microgpt-subtitles/microgpt_subtitles/__init__.py").touch()
    shutil.move(tmp_path / "microgpt-subtitles/film.srt", tmp_path)
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site"]
    run_process([*install, tmp_path / "microgpt-subtitles"], check=True)
    return tmp_path / "site"


@pytest.mark.slow
def test_a_package_is_found_used_and_removed(site, tmp_path) -> None:
    env = {**os.environ, "PYTHONPATH": str(site), "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}

    def bash(command: str) -> str:
        done = run_process(["bash", "-c", command], cwd=tmp_path, env=env)
        return done.stderr if done.returncode else done.stdout

    used = [block for block in blocks(PAGE) if block.language == "console"]
    assert used
    assert [bash(block.commands) for block in used] == [block.output for block in used]
    assert "Print the most frequent words" in bash("microgpt --help")
    shutil.rmtree(site)
    assert "Print the most frequent words" not in bash("microgpt --help")
    assert "'words'" in bash("microgpt words film.srt")
    assert "num docs: 6" in bash("microgpt train --data film.srt --steps 1 --num-samples 0")
    assert "got csv" in bash("microgpt export film --format csv --output b.csv")
