"""The real lm-eval against the real process: it measures what the library computes."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run_process

from microgpt import InferenceGpt, load
from microgpt.data.documents import DEMO_MODEL, bundled

pytestmark = [pytest.mark.slow, pytest.mark.long]

# Seventy packages that nothing else here needs: uv brings them into an environment of their own.
PACKAGES = ("lm_eval[api]==0.4.13", "transformers==5.23.0", "tokenizers==0.23.3")
UV_RUN = ("uv", "run", "--isolated", "--no-project", "--quiet", "--python", sys.executable)
UV_RUN += tuple(word for package in PACKAGES for word in ("--with", package))
RUN_COMMAND = """
import sys
from importlib.metadata import entry_points
del sys.argv[0]
(command,) = entry_points(group="console_scripts", name=sys.argv[0])
command.load()()
"""
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "openai.md"
CHOICES = [
    {"question": "what is 2", "choices": ["2", "plus 2?"], "answer": 1},
    {"question": "hello", "choices": ["there", "xq", "hello"], "answer": 0},
    {"question": "hi", "choices": ["yo man, are you there", "?"], "answer": 0},
]
TASKS = {
    "choose": 'output_type: multiple_choice\ndoc_to_text: "{{question}}"\n'
    'doc_to_choice: "{{choices}}"\ndoc_to_target: "{{answer}}"\ntarget_delimiter: " "\n'
    "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n",
    "read": 'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{question}}"\n'
    "metric_list: [{metric: bits_per_byte}]\n",
}


@pytest.fixture(scope="module")
def lm_eval() -> tuple[str, ...]:
    """The command before that of a program which needs lm-eval."""
    try:
        done = run_process([*UV_RUN, "python", "-c", ""])
        reason = done.returncode and done.stderr
    except FileNotFoundError:
        reason = "there is no uv"
    if reason:
        reason = f"lm-eval cannot be installed: {reason}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return UV_RUN


def blocks(port: int, language: str) -> list[str]:
    """Return the code of the page about lm-eval, for a server at this port."""
    section = DOCS.read_text().partition("## Measure it with lm-eval")[2].partition("\n## ")[0]
    found = re.findall(rf"```{language}\n(.*?)```", section, re.S)
    return [code.replace("localhost:8080", f"localhost:{port}") for code in found]


def expected(gpt: InferenceGpt, prompt: list[int], tokens: list[int]) -> tuple[float, bool]:
    """Return how likely tokens are after a prompt, and whether each is the likeliest."""
    rows = gpt.log_probabilities([*prompt, *tokens][:-1], len(prompt) - 1)
    likely = [row[token] for token, row in zip(tokens, rows, strict=True)]
    return sum(likely), likely == [max(row) for row in rows]


@pytest.mark.parametrize("name", ["demo", "subword"])
def test_lm_eval_gets_the_log_probabilities_of_the_library(
    lm_eval, name, serve, subword_dir, tmp_path
) -> None:
    model_dir = subword_dir if name == "subword" else None
    server = serve(model_dir)
    directory = model_dir or bundled(DEMO_MODEL)
    gpt = InferenceGpt(load(directory))
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(one) + "\n" for one in CHOICES))
    for task, settings in TASKS.items():
        source = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\n"
        text = f"task: {task}\ntest_split: test\n{source}{settings}"
        (tmp_path / f"{task}.yaml").write_text(text)
    (tmp_path / "output").symlink_to(directory)
    env = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    (script,), (command,) = (blocks(server.port, kind) for kind in ("python", "bash"))
    words = shlex.split(command.replace("\\\n", "").replace("my_task", ",".join(TASKS)))
    words[-1] = words[-1].replace("max_length=127", f"max_length={gpt.config.block_size - 1}")
    words += ["--log_samples", "--output_path", "found"]
    script += RUN_COMMAND  # in the same process: importing transformers takes most of the time
    subprocess.run([*lm_eval, "python", "-c", script, *words], cwd=tmp_path, env=env, check=True)

    found = {
        task: [json.loads(line) for line in samples.read_text("utf-8").splitlines()]
        for task in TASKS
        for samples in tmp_path.glob(f"found/*/samples_{task}_*")
    }
    encode = gpt.tokenizer.encode
    for sample in found["choose"]:
        question = sample["doc"]["question"]
        start = gpt.opening(question)
        assert len(sample["filtered_resps"]) == len(sample["doc"]["choices"])
        for choice, (number, is_greedy) in zip(
            sample["doc"]["choices"], sample["filtered_resps"], strict=True
        ):
            tokens = encode(f"{question} {choice}")[len(encode(question)) :]
            likely, is_likeliest = expected(gpt, start, tokens)
            assert float(number) == pytest.approx(likely, abs=1e-3)
            assert is_greedy in (is_likeliest, str(is_likeliest))
    for sample in found["read"]:
        likely, _ = expected(gpt, gpt.opening("")[:1], encode(sample["doc"]["question"]))
        (number,) = sample["filtered_resps"]
        assert float(number) == pytest.approx(likely, abs=1e-3)
