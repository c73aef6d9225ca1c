"""The `llm` command against the service, as docs/reference/openai.md shows it."""

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


@pytest.mark.slow
def test_llm_continues_texts_and_talks_of_configured_models(
    llm, talk, names, talk_gpt, names_gpt, tmp_path
) -> None:
    models = [
        {"model_id": "talk", "model_name": "talk", "api_base": _base(talk)},
        {"model_id": "names", "model_name": "names", "api_base": _base(names), "completion": True},
    ]
    # A YAML parser reads JSON.
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))
    done = llm("prompt", "-m", "names", *OPTIONS, "an")
    (text,) = names_gpt.generate(prompt="an", temperature=1.5, seed=3)
    assert (done.returncode, "an" + done.stdout) == (0, f"{text}\n"), done.stderr
    said: list[Message] = []
    for asked, where in (("hi there", ("-m", "talk")), ("yo", ("-c",))):
        done = llm("prompt", *where, *OPTIONS, asked)
        said.append(Message("user", asked))
        reply = talk_gpt.chat(said, temperature=1.5, seed=3)
        said.append(Message("assistant", reply.content))
        assert (done.returncode, done.stdout) == (0, f"{said[-1].content}\n"), done.stderr
