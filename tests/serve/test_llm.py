"""The `llm` command, with its own settings in a directory of their own, against the service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run_process

from microgpt import Message

LLM = Path(sys.executable).parent / "llm"
OPTIONS = ["-o", "seed", "3", "-o", "temperature", "1.5"]


@pytest.fixture
def llm(talk, names, tmp_path):
    """Runs `llm`, which knows the models `talk` and `names`."""
    models = [
        {"model_id": "talk", "model_name": "talk", "api_base": _base(talk)},
        {"model_id": "names", "model_name": "names", "api_base": _base(names), "completion": True},
    ]
    # A YAML parser reads JSON.
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return run_process(
            [LLM, *args], env={**os.environ, "LLM_USER_PATH": str(tmp_path)}, stdin="", timeout=60
        )

    return run


def _base(server) -> str:
    return f"http://{server.host}:{server.port}/v1"


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_prints_the_continuation_of_a_text_model(llm, names_gpt, how) -> None:
    done = llm("prompt", "-m", "names", *OPTIONS, *how, "an")
    (text,) = names_gpt.generate(prompt="an", temperature=1.5, seed=3)
    assert (done.returncode, "an" + done.stdout) == (0, f"{text}\n"), done.stderr


@pytest.mark.slow
def test_llm_can_stream_replies_and_continue_a_conversation(llm, talk_gpt) -> None:
    said: list[Message] = []
    for text, where in (("hi there", ("-m", "talk")), ("yo", ("-c",))):
        done = llm("prompt", *where, *OPTIONS, text)
        said.append(Message("user", text))
        reply = talk_gpt.chat(said, temperature=1.5, seed=3)
        said.append(Message("assistant", reply.content))
        assert (done.returncode, done.stdout) == (0, f"{said[-1].content}\n"), done.stderr
