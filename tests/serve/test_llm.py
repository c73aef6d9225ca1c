"""The `llm` command, with its own settings in a directory of their own, against the service."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt import Message, Sampling

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
        return subprocess.run(
            [LLM, *args],
            env={**os.environ, "LLM_USER_PATH": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def _base(server) -> str:
    return f"http://{server.host}:{server.port}/v1"


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_prints_the_reply_of_the_library(llm, talk_gpt, how) -> None:
    done = llm("prompt", "-m", "talk", *OPTIONS, *how, "hi there")
    reply = talk_gpt.chat([Message("user", "hi there")], sampling=Sampling(1.5), seed=3)
    assert (done.returncode, done.stdout) == (0, f"{reply.content}\n"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_prints_what_a_text_model_makes_of_a_prompt(llm, names_gpt, how) -> None:
    done = llm("prompt", "-m", "names", *OPTIONS, *how, "an")
    (text,) = names_gpt.generate(prompt="an", temperature=1.5, seed=3)
    assert (done.returncode, "an" + done.stdout) == (0, f"{text}\n"), done.stderr


@pytest.mark.slow
def test_llm_goes_on_with_a_conversation(llm, talk_gpt) -> None:
    first = llm("prompt", "-m", "talk", *OPTIONS, "hi there").stdout.removesuffix("\n")
    done = llm("prompt", "-c", *OPTIONS, "yo")
    said = [Message("user", "hi there"), Message("assistant", first), Message("user", "yo")]
    assert done.stdout == f"{talk_gpt.chat(said, sampling=Sampling(1.5), seed=3).content}\n"


@pytest.mark.slow
def test_a_system_prompt_of_llm_is_ignored(llm) -> None:
    with_system = llm("prompt", "-m", "talk", *OPTIONS, "-s", "Be kind.", "hi there")
    assert with_system.returncode == 0, with_system.stderr
    assert with_system.stdout == llm("prompt", "-m", "talk", *OPTIONS, "hi there").stdout
