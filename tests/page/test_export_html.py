import sys
from pathlib import Path

import commands
import pytest
from commands import refused as problem_of

LIB = Path(__file__).parents[1] / "lib"
KILLED_EXPORTS = """
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import os
from crash_points import no_fsync, survives
from microgpt_cli.commands.export import write_files

NAMES, PAGE = ("old", "new"), b"new" * 1000

os.fsync = no_fsync
for n in count():
    file = Path("old.html")
    file.write_text("old")
    has_ended = survives(lambda: [write_files({Path(f"{each}.html"): PAGE}) for each in NAMES], n)
    assert file.read_bytes() in (b"old", PAGE), n
    new = Path("new.html")
    assert not new.exists() or new.read_bytes() == PAGE, n
    new.unlink(missing_ok=True)
    if has_ended:
        break
write_files({file: PAGE})
assert sorted(os.listdir()) == ["old.html"], os.listdir()
assert n > 5
"""


def test_a_model_can_be_exported_as_a_single_html_page(microgpt, text_model, tmp_path) -> None:
    page = tmp_path / "sub" / "page.html"
    made = microgpt("export", text_model, "--format", "html", "--output", page)
    assert made.stdout == f"{page}: {page.stat().st_size:,} bytes\n"
    assert page.read_bytes().startswith(b"<!doctype html>")
    page.write_text("mine")
    refused = microgpt("export", text_model, "--format", "html", "--output", page)
    assert refused.returncode == 2
    assert refused.stderr.endswith(
        f"{page} exists; use another file with --output, or replace it with --force\n"
    )
    assert page.read_text() == "mine"
    microgpt("export", text_model, "--format", "html", "--output", page, "--force")
    assert page.read_bytes().startswith(b"<!doctype html>")


def test_export_writes_through_a_symbolic_link(microgpt, text_model, tmp_path) -> None:
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    page.write_text("mine")
    link.symlink_to(page)
    options = ("--format", "html", "--output", link, "--force")
    assert microgpt("export", text_model, *options).returncode == 0
    assert link.is_symlink()
    assert page.read_bytes().startswith(b"<!doctype html>")
    options = ("--format", "html", "--output", "a" * 300)
    assert "File name too long" in problem_of(microgpt("export", text_model, *options))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--output", "."], ". is a directory; name a file, such as model.html"),
        (
            ["--output", "page.html", "--half"],
            "html chooses the precision itself",
        ),
        (["--output", "page.html", "--model", "none"], "none does not exist"),
        (
            ["--output", "page.html", "--format", "json"],
            "--format json writes a directory; for a file, use --format html",
        ),
    ],
)
def test_an_html_export_refuses_unsuitable_options(microgpt, tmp_path, options, problem) -> None:
    given = () if "--format" in options else ("--format", "html")
    refused = microgpt("export", *given, *options)
    assert refused.returncode == 2
    assert problem in refused.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_killed_export_leaves_no_half_written_file(tmp_path) -> None:
    command = [sys.executable, "-c", KILLED_EXPORTS, LIB]
    commands.run_process(command, cwd=tmp_path, check=True)
