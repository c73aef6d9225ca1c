"""`examples/secrets_check.sh` stops a commit with a secret, and no other."""

import subprocess
from pathlib import Path

import pytest
from commands import run_process

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "examples" / "secrets_check.sh"


def git(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    settings = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return run_process(["git", *settings, *args], cwd=folder)


@pytest.mark.slow
def test_a_commit_that_contains_a_secret_is_stopped(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TRAIN", "--budget 3e10")
    git(tmp_path, "init", "--quiet")
    subprocess.run([CHECK, "learn", ROOT / "libs"], cwd=tmp_path, check=True)
    (tmp_path / ".git/hooks/pre-commit").symlink_to(CHECK)

    (tmp_path / "a.py").write_text("total_loss = measure_losses(held_out_documents)\n")
    git(tmp_path, "add", "a.py")
    done = git(tmp_path, "commit", "-m", "innocent")
    assert done.returncode == 0, done.stderr

    (tmp_path / "b.py").write_text('key = "xK9vQ2mZpL7tRw4sYb8n"\n')
    git(tmp_path, "add", "b.py")
    done = git(tmp_path, "commit", "-m", "secret")
    assert done.returncode == 1
    assert "secrets?" in done.stderr + done.stdout
    assert "xK9vQ2mZpL7tRw4sYb8n" in done.stderr + done.stdout
    assert git(tmp_path, "log", "--format=%s").stdout == "innocent\n"


def test_only_the_text_of_the_added_lines_is_scored(tmp_path: Path, monkeypatch) -> None:
    """Not the "+" before each line, nor the path of the file; a line may look like a path."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/microgpt").write_text(f"#!/bin/sh\ncat > {tmp_path}/scored\n")
    (tmp_path / "bin/microgpt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    repository = tmp_path / "repository"
    (repository / "long_name_of_a_folder").mkdir(parents=True)
    git(repository, "init", "--quiet")
    git(repository, "config", "color.ui", "always")
    for name in ("long_name_of_a_folder/first.py", "second.py"):
        (repository / name).write_text("removed_name = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-m", "before")
    (repository / "long_name_of_a_folder/first.py").write_text("humidity_max = measure_all()\n")
    (repository / "second.py").write_text("++ b/looks_like_a_path\ndiff --git or_the_next_file\n")
    git(repository, "add", ".")

    subprocess.run([CHECK], cwd=repository, check=True)

    scored = (tmp_path / "scored").read_text().split()
    assert scored == ["b/looks_like_a_path", "humidity_max", "or_the_next_file"]
