"""The `llm` command against the service, as docs/reference/openai.md shows it."""

import os
import sys
from pathlib import Path

import pytest
from commands import run_process

LLM = Path(sys.executable).parent / "llm"
OPTIONS = ["-o", "seed", "3", "-o", "temperature", "1.5"]


@pytest.mark.slow
def test_llm_asks_an_endpoint_without_any_configuration(talk, talk_gpt, tmp_path) -> None:
    reply = talk_gpt.chat("hi there", temperature=1.5, seed=3).content
    asked = ("hi there", "-m", "talk", *OPTIONS)
    for args, said in ((asked, reply), ((*asked, "--no-stream"), reply), (["--models"], "talk")):
        command = [LLM, "openai", "endpoint", f"http://{talk.host}:{talk.port}/v1", *args]
        env = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
        done = run_process(command, env=env, stdin="", timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, said.strip()), done.stderr
