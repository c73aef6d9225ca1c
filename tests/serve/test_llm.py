"""The `llm` command against the service, as docs/reference/openai.md shows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run_process

LLM = Path(sys.executable).parent / "llm"
OPTIONS = ["-o", "seed", "3", "-o", "temperature", "1.5"]


@pytest.fixture
def llm(tmp_path):
    """Runs `llm` with an empty directory of its own settings."""

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return run_process(
            [LLM, *args], env={**os.environ, "LLM_USER_PATH": str(tmp_path)}, stdin="", timeout=60
        )

    return run


def _base(server) -> str:
    return f"http://{server.host}:{server.port}/v1"


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_asks_an_endpoint_without_any_configuration(llm, talk, talk_gpt, how) -> None:
    done = llm("openai", "endpoint", _base(talk), "hi there", "-m", "talk", *OPTIONS, *how)
    reply = talk_gpt.chat("hi there", temperature=1.5, seed=3)
    assert (done.returncode, done.stdout.strip()) == (0, reply.content.strip()), done.stderr
    listed = llm("openai", "endpoint", _base(talk), "--models")
    assert (listed.returncode, listed.stdout.split()) == (0, ["talk"]), listed.stderr
