"""Tests of `microgpt play` in a separate process."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import commands
import httpx2
import pytest
from commands import refused

from microgpt import load, save
from microgpt.data.documents import bundled
from microgpt_cli.model_loading import bundled_chats
from microgpt_page.html_page import document


@pytest.fixture
def play(tmp_path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """A function that starts `microgpt play` with a fake browser that prints the URL."""
    with ExitStack() as stack:

        def start(*models: Path | str) -> tuple[subprocess.Popen[str], str]:
            command = [commands.COMMAND, "play", *models]
            env = {**os.environ, "BROWSER": "echo opened %s"}
            process = stack.enter_context(commands.running(command, cwd=tmp_path, env=env))
            said = ""
            while not (found := re.search(r"^open (\S+) in a browser", said, re.MULTILINE)):
                line = process.stderr.readline()
                assert line, said
                said += line
            return process, found[1]

        yield start


def got(url: str, host: str = "localhost") -> tuple[int, bytes]:
    """Return the status and the body of a response."""
    response = httpx2.get(url, headers={"Host": host}, trust_env=False, timeout=60)
    return response.status_code, response.content


@pytest.mark.slow
def test_play_opens_a_browser_and_serves_models_until_ctrl_c(play, names_dir, talk_dir) -> None:
    process, url = play(names_dir, talk_dir)
    assert process.stdout.readline() == f"opened {url}\n"
    assert got(url) == (200, document(load(names_dir), "names", ["talk", *bundled_chats()]))
    talk = document(load(talk_dir), "talk", ["names", *bundled_chats()])
    assert got(f"{url}/?model=talk") == (200, talk)
    assert got(f"{url}/?model=none")[0] == got(f"{url}/docs")[0] == 404
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert process.stderr.read() == ""  # requests are not logged


@pytest.mark.slow
def test_play_reads_the_model_anew_at_each_request(play, names_dir, text_result, tmp_path) -> None:
    directory = tmp_path / "output"
    shutil.copytree(names_dir, directory)
    _, url = play()  # serves the model in `output`
    before = got(url)
    save(text_result, directory)
    after = got(url)
    page = document(load(directory), "output", [*bundled_chats(), "names"])
    assert before[0] == 200
    assert before != after == (200, page)
    (directory / "meta.json").unlink()
    status, error = got(url)
    assert (status, error.startswith(b"error: ")) == (500, True)


@pytest.mark.slow
def test_play_without_a_model_serves_bundled_models_on_localhost(play) -> None:
    _, url = play()
    first, *others = bundled_chats()
    assert got(url) == (200, document(load(bundled_chats()[first]), first, [*others, "names"]))
    names = load(bundled("models/names"))
    assert got(f"{url}/?model=names") == (200, document(names, "names", [first, *others]))
    assert got(url, host="evil.example:80")[0] == 403


def test_play_refuses_a_missing_or_too_large_model(microgpt, text_model, monkeypatch) -> None:
    assert "none" in refused(microgpt("play", "none"))
    monkeypatch.setattr("microgpt_page.html_page.MAX_BYTES", 1000)
    assert "at most 0 MB are allowed" in refused(microgpt("play", text_model))
